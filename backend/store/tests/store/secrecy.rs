//! No secret is on disk in a form that can be read, and none opens in another's place.

use crate::bench::{Bench, ROOT_KEY, on_both};
use crate::cluster::Cluster;
use crate::samples::{NOON, credential, database, insert_database, one_database, project};
use berth_domain::{EnvName, EnvVariable, Secret};
use berth_store::{CredentialState, Error, IdempotencyRecord};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const PASSWORD: &str = "Planted-Password-7f3a";
const VERIFIER: &str = "SCRAM-SHA-256$4096:Planted-Verifier-91bc";
const AUTHORITY: &str = "-----BEGIN PRIVATE KEY----- Planted-Authority-22de";
const VARIABLE: &str = "Planted-Variable-c4e1";
const BODY: &str = "{\"token\": \"Planted-Token-58ff\"}";
/// Not a secret: it shows that the search finds what is there.
const MARKER: &str = "Planted-Description-0aa1";

/// Those of the texts that occur in any file under a directory.
fn found(directory: &Path, wanted: &[String]) -> BTreeSet<String> {
    let mut grep = Command::new("grep");
    grep.args(["-r", "-a", "-o", "-h", "-F"]);
    for text in wanted {
        grep.arg("-e").arg(text);
    }
    // Bytes are compared as bytes, whatever the tests' own locale is.
    let output = grep.env("LC_ALL", "C").arg(directory).output().unwrap();
    // 1 is "nothing found", 2 is a file that could not be read or was taken away meanwhile.
    assert!(output.status.code().is_some(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The forms in which a secret might be found; base64 in each of its three alignments.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let mut forms = vec![
        secret.to_owned(),
        hex::encode(bytes),
        hex::encode_upper(bytes),
    ];
    for skipped in 0..3 {
        let whole = (bytes.len() - skipped) / 3 * 3;
        forms.push(base64(&bytes[skipped..skipped + whole]));
    }
    forms
}

/// Base64 of whole groups of three bytes.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks_exact(3)
        .flat_map(|group| {
            let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
            [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift & 63) as usize]))
        })
        .collect()
}

async fn plant(bench: &Bench) {
    let mut shop = project("shop");
    shop.description = Some(MARKER.to_owned());
    let orders = database(&shop, 1);
    let mut planted = credential(1, CredentialState::Current);
    planted.password = Secret::new(PASSWORD);
    planted.verifier = Secret::new(VERIFIER);
    let record = IdempotencyRecord {
        caller: "tok_1".to_owned(),
        key: "key".to_owned(),
        request_hash: "hash".to_owned(),
        status: 201,
        body: Secret::new(BODY),
        created_at: NOON,
    };
    let mut tx = bench.store.begin().await.unwrap();
    tx.insert_project(&shop).await.unwrap();
    tx.insert_database(&orders).await.unwrap();
    tx.put_credentials(&orders.id, &planted).await.unwrap();
    tx.put_secret("ca.key", &Secret::new(AUTHORITY))
        .await
        .unwrap();
    let variable = EnvVariable {
        project_id: shop.id.clone(),
        name: EnvName::parse("TOKEN").unwrap(),
        value: Secret::new(VARIABLE),
        sensitive: true,
        created_at: NOON,
        updated_at: NOON,
    };
    tx.put_env_variable(&variable).await.unwrap();
    assert!(!format!("{variable:?}").contains("Planted"));
    tx.insert_idempotency_record(&record).await.unwrap();
    tx.commit().await.unwrap();
    // Statements that fail are what servers and logs like to quote.
    let mut tx = bench.store.begin().await.unwrap();
    let refused = tx.insert_idempotency_record(&record).await.unwrap_err();
    assert!(!format!("{refused:?}").contains("Planted"));
    drop(tx);
    let read = bench.store.credentials(&orders.id).await.unwrap();
    assert!(read == [planted.clone()]);
    assert!(!format!("{read:?} {record:?}").contains("Planted"));
}

on_both! {
    async fn no_file_holds_a_secret(bench) {
        plant(bench).await;
        let directory = match &bench.directory {
            Some(directory) => directory.path(),
            None => {
                bench.tamper("CHECKPOINT").await;
                Cluster::shared().unwrap().directory()
            }
        };
        let root_key = std::str::from_utf8(&ROOT_KEY).unwrap();
        let secrets: Vec<String> = [PASSWORD, VERIFIER, AUTHORITY, VARIABLE, BODY, root_key]
            .into_iter()
            .flat_map(forms)
            .collect();
        let mut wanted = secrets.clone();
        wanted.push(MARKER.to_owned());
        assert_eq!(found(directory, &wanted), BTreeSet::from([MARKER.to_owned()]));
        // The same search finds each form in a file that was planted on purpose.
        let planted = tempfile::tempdir().unwrap();
        std::fs::write(planted.path().join("forms"), secrets.join("\0")).unwrap();
        assert_eq!(found(planted.path(), &secrets), secrets.iter().cloned().collect());
    }

    async fn a_ciphertext_in_another_row_does_not_open(bench) {
        let store = &bench.store;
        let (shop, one) = one_database(store).await;
        let two = database(&shop, 2);
        insert_database(store, &two).await;
        let mut tx = store.begin().await.unwrap();
        tx.put_credentials(&one.id, &credential(1, CredentialState::Current)).await.unwrap();
        tx.put_credentials(&two.id, &credential(1, CredentialState::Current)).await.unwrap();
        tx.put_secret("ours", &Secret::new("ours")).await.unwrap();
        tx.put_secret("theirs", &Secret::new("theirs")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.credentials(&two.id).await.unwrap().len(), 1);

        // The column alone, and then the data key with it.
        let moved = bench.tamper(
            "UPDATE credentials SET password = (SELECT password FROM credentials \
             WHERE database_id = 'db_0101010101010101') WHERE database_id = 'db_0202020202020202'",
        ).await;
        assert_eq!(moved, 1);
        let refused = store.credentials(&two.id).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Unseal { table: "credentials", column: "password", row } if row == "db_0202020202020202/1"),
            "{refused}"
        );
        bench.tamper(
            "UPDATE credentials SET (data_key, password, verifier) = \
             (SELECT data_key, password, verifier FROM credentials \
              WHERE database_id = 'db_0101010101010101') \
             WHERE database_id = 'db_0202020202020202'",
        ).await;
        let refused = store.credentials(&two.id).await.unwrap_err();
        assert!(matches!(&refused, Error::Unseal { column: "data_key", .. }), "{refused}");
        // Within one row: the verifier is no password.
        bench.tamper(
            "UPDATE credentials SET password = verifier WHERE database_id = 'db_0101010101010101'",
        ).await;
        assert!(matches!(store.credentials(&one.id).await, Err(Error::Unseal { .. })));
        bench.tamper(
            "UPDATE secrets SET (data_key, sealed) = \
             (SELECT data_key, sealed FROM secrets WHERE name = 'theirs') WHERE name = 'ours'",
        ).await;
        assert!(matches!(store.secret("ours").await, Err(Error::Unseal { .. })));
        assert_eq!(store.secret("theirs").await.unwrap(), Some(Secret::new("theirs")));
    }
}
