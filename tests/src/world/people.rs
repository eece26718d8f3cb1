//! Claimants, what they allow, and what is asked for them.

use anyhow::{Context as _, Result};
use evidence_wire::v1;

use super::World;
use crate::{Org, ok};

impl World {
    /// A new person.
    pub async fn claimant(&self) -> Result<String> {
        let registered =
            ok!(self
                .portal
                .consent()
                .register_claimant(v1::RegisterClaimantRequest {
                    request_id: self.key(),
                    name: "Joan Testcase".to_owned(),
                    date_of_birth: "1979-03-14".to_owned(),
                    nhs_number: self.nhs_number(),
                    national_insurance_number: String::new(),
                }));
        self.keep(registered.receipt)?;
        Ok(registered.claimant_id)
    }

    /// A number of the range kept for tests, with its check digit.
    pub fn nhs_number(&self) -> String {
        loop {
            let text = format!("999{:06}", self.next());
            let sum: u64 = text
                .bytes()
                .zip((2..=10).rev())
                .map(|(digit, weight)| u64::from(digit - b'0') * weight)
                .sum();
            match 11 - sum % 11 {
                10 => {}
                check => return format!("{text}{}", check % 11),
            }
        }
    }

    /// What a person usually allows here: every kind, from all four disclosers to the DWP, for
    /// both assessments.
    pub fn grant_request(&self, claimant: &str) -> v1::CreateGrantRequest {
        let disclosers = [&self.trust, &self.gp, &self.council, &self.vcse];
        v1::CreateGrantRequest {
            request_id: self.key(),
            claimant_id: claimant.to_owned(),
            disclosers: disclosers.map(|org| org.id.to_string()).into(),
            kinds: vec!["*".to_owned()],
            recipient: self.dwp.id.to_string(),
            purposes: vec!["wca".to_owned(), "pip".to_owned()],
            expires_on: evidence_domain::time::days_after(self.now().day(), 300).to_string(),
            capture: v1::Capture::InPortal.into(),
            lawful_basis: "uk-gdpr-6-1-e_9-2-b".to_owned(),
            ..Default::default()
        }
    }

    /// A grant of the usual shape, for a new person.
    pub async fn grant(&self) -> Result<v1::Grant> {
        let claimant = self.claimant().await?;
        self.grant_with(self.grant_request(&claimant)).await
    }

    pub async fn grant_with(&self, request: v1::CreateGrantRequest) -> Result<v1::Grant> {
        let granted = ok!(self.portal.consent().create_grant(request));
        self.keep(granted.receipt)?;
        granted.grant.context("no grant")
    }

    pub async fn withdraw_grant(&self, grant: &v1::Grant) -> Result<()> {
        let withdrawn = ok!(self
            .portal
            .consent()
            .withdraw_grant(v1::WithdrawGrantRequest {
                request_id: self.key(),
                grant_id: grant.grant_id.clone(),
                capture: v1::Capture::InPortal.into(),
                note: String::new(),
            }));
        self.keep(withdrawn.receipt)?;
        Ok(())
    }

    pub async fn delegate(&self, org: &Org, grant: &v1::Grant, to: &Org) -> Result<v1::Delegation> {
        let delegated = ok!(org
            .consent()
            .create_delegation(v1::CreateDelegationRequest {
                request_id: self.key(),
                grant_id: grant.grant_id.clone(),
                intermediary: to.id.to_string(),
                kinds: vec!["*".to_owned()],
                expires_on: String::new(),
            }));
        self.keep(delegated.receipt)?;
        delegated.delegation.context("no delegation")
    }

    /// What the DWP sends to open a case.
    pub fn case_request(&self, grant: &v1::Grant, assessment: &str) -> v1::OpenCaseRequest {
        v1::OpenCaseRequest {
            request_id: self.key(),
            claimant_id: grant.claimant_id.clone(),
            grant_id: grant.grant_id.clone(),
            assessment_type: assessment.to_owned(),
            nation: "england-and-wales".to_owned(),
            reference: "REF 1".to_owned(),
            mental_health: false,
        }
    }

    pub async fn case(&self, grant: &v1::Grant, assessment: &str) -> Result<v1::Case> {
        self.case_with(self.case_request(grant, assessment)).await
    }

    pub async fn case_with(&self, request: v1::OpenCaseRequest) -> Result<v1::Case> {
        let opened = ok!(self.dwp.requests().open_case(request));
        self.keep(opened.receipt)?;
        opened.case.context("no case")
    }

    /// What the DWP sends to ask a discloser for letters.
    pub fn request_request(
        &self,
        case: &v1::Case,
        grant: &v1::Grant,
        discloser: &Org,
    ) -> v1::OpenRequestRequest {
        v1::OpenRequestRequest {
            request_id: self.key(),
            case_id: case.case_id.clone(),
            grant_id: grant.grant_id.clone(),
            discloser: discloser.id.to_string(),
            kinds: vec!["clinical-letter".to_owned(), "care-plan".to_owned()],
            period: None,
            question: "How does it affect daily living?".to_owned(),
            assurance: "The claimant has consented.".to_owned(),
            payer: String::new(),
        }
    }

    pub async fn request(
        &self,
        case: &v1::Case,
        grant: &v1::Grant,
        discloser: &Org,
    ) -> Result<v1::EvidenceRequest> {
        let opened = ok!(self
            .dwp
            .requests()
            .open_request(self.request_request(case, grant, discloser)));
        self.keep(opened.receipt)?;
        opened.request.context("no request")
    }

    /// The claimant themselves, looking.
    pub fn viewer(&self, grant: &v1::Grant) -> Option<v1::Viewer> {
        Some(v1::Viewer {
            claimant_id: grant.claimant_id.clone(),
            representation_id: String::new(),
        })
    }

    /// The claimant's own words, as evidence.
    pub async fn own_statement(&self, grant: &v1::Grant, text: &str) -> Result<v1::RecordItem> {
        let added = ok!(self.portal.record().add_statement(v1::AddStatementRequest {
            request_id: self.key(),
            viewer: self.viewer(grant),
            grant_id: grant.grant_id.clone(),
            title: "My week".to_owned(),
            text: text.to_owned(),
        }));
        let item = added.item.context("no item")?;
        let document = (item.item_id.parse()?, text.as_bytes().to_vec());
        self.keep_with(item.receipt.clone(), Some(document))?;
        Ok(item)
    }
}
