//! The services about nobody: the log and the directory.

use evidence_ledger::sha256;
use evidence_tests::{Org, World};
use evidence_wire::{common::timestamp, v1};
use tonic::{Code, Status};

use super::{Ids, calls, text};

pub async fn ledger(org: &Org, name: &str) -> Result<String, Status> {
    let mut client = org.ledger();
    if name == "GetReceipt" {
        let entry = sha256(b"no entry").as_bytes().to_vec();
        // Nobody owns an entry: that there is none is told to everybody.
        return match client.get_receipt(v1::GetReceiptRequest { entry }).await {
            Err(status) if status.code() == Code::NotFound => Ok("no such entry".to_owned()),
            other => other.map(text),
        };
    }
    if name == "GetConsistencyProof" {
        let newest = client
            .get_checkpoint(v1::GetCheckpointRequest { size: 0 })
            .await?;
        let size = newest.into_inner().size;
        let asked = v1::GetConsistencyProofRequest {
            from_size: size,
            to_size: size,
        };
        return client.get_consistency_proof(asked).await.map(text);
    }
    Ok(calls! { name, client;
        "GetCheckpoint" => get_checkpoint(v1::GetCheckpointRequest { size: 0 });
        "GetInclusionProof" => get_inclusion_proof(v1::GetInclusionProofRequest { index: 0, size: 0 });
        "ListLogKeys" => list_log_keys(v1::ListLogKeysRequest {});
    })
}

pub async fn directory(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let (mut client, request_id) = (org.directory(), world.key());
    let (organisation_id, roles) = (ids.organisation.clone(), vec![v1::Role::Discloser.into()]);
    let fingerprint = sha256(b"a certificate").to_string();
    let at = |days: i64| Some(timestamp(world.now().plus_seconds(days * 86_400)));
    Ok(calls! { name, client;
        "RegisterOrganisation" => register_organisation(v1::RegisterOrganisationRequest {
            identifier: format!("ods:{request_id}"), request_id, name: "New".to_owned(), roles
        });
        "UpdateOrganisation" => update_organisation(v1::UpdateOrganisationRequest {
            request_id, organisation_id, name: "Renamed".to_owned(), roles, suspended: false
        });
        "AddCertificate" => add_certificate(v1::AddCertificateRequest {
            request_id, organisation_id, fingerprint
        });
        "RemoveCertificate" => remove_certificate(v1::RemoveCertificateRequest {
            request_id, organisation_id, fingerprint
        });
        "RegisterKey" => register_key(v1::RegisterKeyRequest {
            request_id, organisation_id, cose_key: world.council.key.public().to_cose_key(),
            not_before: at(0), not_after: at(9)
        });
        "RetireKey" => retire_key(v1::RetireKeyRequest {
            request_id, organisation_id, kid: world.gp.key.public().kid(), not_after: at(0)
        });
        "SetPolicy" => set_policy(v1::SetPolicyRequest {
            request_id, name: "clocks".to_owned(), document: "[request]\nanswer_days = 28\n".to_owned()
        });
        "GetPolicy" => get_policy(v1::GetPolicyRequest { name: "clocks".to_owned() });
        "GetOrganisation" => get_organisation(v1::GetOrganisationRequest { organisation_id });
        "ListOrganisations" => list_organisations(v1::ListOrganisationsRequest::default());
    })
}
