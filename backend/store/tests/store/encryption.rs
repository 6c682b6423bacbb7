//! A server that is reached over TLS: who it is is checked, and everything else is refused.

use crate::bench::open;
use crate::cluster::Cluster;
use berth_store::Error;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sqlx::{AnyConnection, Connection, Row};
use std::path::Path;

/// An authority's certificate in a file, and what it signed: a certificate for an address, and
/// its key.
fn authority(file: &Path) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = params.self_signed(&key).unwrap();
    std::fs::write(file, own.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_server_is_who_its_certificate_says_or_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [own, other] = ["own.pem", "other.pem"].map(|name| folder.path().join(name));
    let (certificate, key) = authority(&own);
    authority(&other);
    let Some((_cluster, port)) = Cluster::secured(&certificate, &key) else {
        return;
    };
    let url = |host: &str, authority: &Path| {
        let authority = authority.display();
        format!(
            "postgres://berth@{host}:{port}/postgres?sslmode=verify-full&sslrootcert={authority}"
        )
    };
    // Of a wrong authority, and for another name.
    for wrong in [url("127.0.0.1", &other), url("localhost", &own)] {
        let refused = open(&wrong).await.err();
        assert!(matches!(refused, Some(Error::Open { .. })), "{refused:?}");
    }
    let right = url("127.0.0.1", &own);
    let store = open(&right).await.unwrap();
    store.ping().await.unwrap();
    let mut conn = AnyConnection::connect(&right).await.unwrap();
    let question = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let row = sqlx::query(question).fetch_one(&mut conn).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "true");
}
