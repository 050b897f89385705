//! `/v1/openapi.json`.

use utoipa::{
    OpenApi as _,
    openapi::{
        Components, Info, OpenApi,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use crate::routes::Documented;

const BEARER: &str = "token";

/// The description of the routes, made from their code.
#[must_use]
pub fn document() -> OpenApi {
    let mut document = Documented::openapi();
    document.info = Info::new("Tidemark gateway", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(
        "Whether the data of an account or a connection is recent enough. Never answered from \
         anything older than a second."
            .to_owned(),
    );
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_with(Components::new).add_security_scheme(BEARER, scheme);
    document.security = Some(vec![SecurityRequirement::new(BEARER, [""; 0])]);
    document
}
