//! An S3 server of one test's own: moto's, on a free port of the loopback. It keeps everything in
//! memory and believes every key.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::python;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server with one bucket. It ends when this is dropped.
pub struct S3 {
    pub endpoint: String,
    pub bucket: String,
    pub region: &'static str,
    client: reqwest::Client,
    _process: Child,
}

impl S3 {
    pub async fn start(bucket: &str) -> Result<Self> {
        let mut process = Command::new(python::interpreter()?)
            .args(["-m", "moto.server", "--host", "127.0.0.1", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the S3 server")?;
        let log = process.stderr.take().context("its log is piped")?;
        let endpoint = timeout(PATIENCE, listens(log))
            .await
            .context("the S3 server did not start")??;
        let server = Self {
            endpoint,
            bucket: bucket.to_owned(),
            region: "eu-west-2",
            client: reqwest::Client::new(),
            _process: process,
        };
        let place = format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
            server.region
        );
        let made = server.client.put(server.url()).body(place).send().await?;
        ensure!(
            made.status().is_success(),
            "the bucket cannot be made: {}",
            made.status()
        );
        Ok(server)
    }

    /// The names of all objects in the bucket, in their order.
    pub async fn objects(&self) -> Result<Vec<String>> {
        let listed = self
            .client
            .get(format!("{}?list-type=2", self.url()))
            .send()
            .await?
            .error_for_status()?;
        let page = listed.text().await?;
        ensure!(
            !page.contains("<IsTruncated>true"),
            "more objects than one page lists"
        );
        let names = page
            .split("<Key>")
            .skip(1)
            .filter_map(|rest| rest.split_once("</Key>"));
        Ok(names.map(|(name, _)| name.to_owned()).collect())
    }

    /// The bytes of an object, as they lie there.
    pub async fn object(&self, name: &str) -> Result<Vec<u8>> {
        // Objects are shown to whoever says that they have a key, whatever it is.
        let asked = self
            .client
            .get(format!("{}/{name}", self.url()))
            .header("authorization", "AWS test:test");
        let object = asked.send().await?.error_for_status()?;
        Ok(object.bytes().await?.to_vec())
    }

    fn url(&self) -> String {
        format!("{}/{}", self.endpoint, self.bucket)
    }
}

/// The address in the line that names it. The rest of the log is read on, so that the server never
/// waits for a reader.
async fn listens(log: impl AsyncRead + Unpin + Send + 'static) -> Result<String> {
    let mut lines = BufReader::new(log).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some((_, address)) = line.split_once("Running on ") {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(address.trim().to_owned());
        }
    }
    anyhow::bail!("the S3 server ended before it listened")
}
