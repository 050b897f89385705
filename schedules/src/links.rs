//! Links into Temporal's Web UI.

use tidemark_model::ids::ConnectionId;
use tidemark_workflows::names;
use url::Url;

use crate::RunRef;

/// Makes links, if somebody said where the Web UI is.
#[derive(Clone, Debug)]
pub struct Links {
    base: Option<Url>,
    namespace: String,
}

impl Links {
    /// `base` is the Web UI's address.
    #[must_use]
    pub fn new(base: Option<Url>, namespace: &str) -> Self {
        Self { base, namespace: namespace.to_owned() }
    }

    /// The schedule of a connection.
    #[must_use]
    pub fn schedule(&self, connection: &ConnectionId) -> Option<String> {
        self.link(&["schedules", &names::schedule_id(connection)])
    }

    /// A run's history.
    #[must_use]
    pub fn run(&self, run: &RunRef) -> Option<String> {
        self.link(&["workflows", &run.workflow_id, &run.run_id, "history"])
    }

    /// Ids hold slashes, which are part of a name here and not of the path.
    fn link(&self, parts: &[&str]) -> Option<String> {
        let mut url = self.base.clone()?;
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(["namespaces", &self.namespace])
            .extend(parts);
        Some(url.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_of_ids_are_escaped() {
        let links = Links::new(Some("http://localhost:8233".parse().unwrap()), "default");
        assert_eq!(
            links.schedule(&"acme/news".parse().unwrap()).unwrap(),
            "http://localhost:8233/namespaces/default/schedules/acme%2Fnews"
        );
        let run = RunRef {
            workflow_id: "sync/acme/news-2026-11-21T10:00:00Z".to_owned(),
            run_id: "r1".to_owned(),
        };
        assert_eq!(
            links.run(&run).unwrap(),
            "http://localhost:8233/namespaces/default/workflows/\
             sync%2Facme%2Fnews-2026-11-21T10:00:00Z/r1/history"
        );
    }

    #[test]
    fn without_a_base_there_are_no_links() {
        assert_eq!(Links::new(None, "default").schedule(&"acme/news".parse().unwrap()), None);
    }
}
