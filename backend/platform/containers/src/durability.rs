//! What a power cut would leave: asked at the moment of each answer, since an answer is what
//! others build on.

use crate::ContainerPlatform;
use crate::crash::armed;
use crate::matrix::{Host, POSTGRESQL, spec};
use crate::power_cut::Watch;
use crate::record::Record;
use berth_domain::{EngineName, InstanceId, Observed};
use berth_platform::{DataFate, InstanceSpec, Origin, Platform};
use std::fs;
use std::path::PathBuf;

const NOTHING: [PathBuf; 0] = [];

async fn prepare_a_spare(berthd: &ContainerPlatform) {
    let engine = EngineName::new(POSTGRESQL);
    berthd.prepare_spares(&engine, "17", 1).await.unwrap();
}

/// Nothing of the instances or of the trash could be lost any more, and whatever had a name was
/// whole when it got it.
fn all_is_on_disk(watch: &Watch, host: &Host) {
    assert_eq!(watch.unsynced(&host.data().join("instances")), NOTHING);
    assert_eq!(watch.unsynced(&host.data().join("trash")), NOTHING);
    assert_eq!(watch.early(), Vec::<String>::new());
}

#[tokio::test]
async fn what_an_answer_promises_is_on_disk() {
    let _turn = armed::TURN.lock().await;
    let spec = spec();
    let again = InstanceSpec {
        origin: Origin::MustExist,
        ..spec.clone()
    };
    for with_spare in [false, true] {
        let host = Host::new();
        let watch = Watch::over(&host.data());
        let berthd = host.berthd();
        if with_spare {
            prepare_a_spare(&berthd).await;
            // A spare is whole, under a name that stays.
            assert_eq!(watch.unsynced(&host.data()), NOTHING);
        }
        berthd.ensure(&spec).await.unwrap();
        // The directory that holds those of all instances is there to stay, too.
        assert!(!watch.unsynced(&host.data()).contains(&host.data()));
        all_is_on_disk(&watch, &host);
        berthd
            .remove(&spec.instance, DataFate::Trash)
            .await
            .unwrap();
        all_is_on_disk(&watch, &host);
        berthd.ensure(&again).await.unwrap();
        all_is_on_disk(&watch, &host);
        berthd
            .remove(&spec.instance, DataFate::Purge)
            .await
            .unwrap();
        all_is_on_disk(&watch, &host);
    }
}

/// Leaves of an instance's record what a power cut may leave of a file that was never synced.
fn damage(host: &Host, instance: &InstanceId) -> PathBuf {
    let record = host.data().join("instances").join(instance.as_str());
    let record = record.join(Record::FILE);
    fs::write(&record, b"").unwrap();
    record
}

#[tokio::test]
async fn a_damaged_record_is_written_anew_and_keeps_nothing_up() {
    let _turn = armed::TURN.lock().await;
    let host = Host::new();
    let spec = spec();
    host.berthd().ensure(&spec).await.unwrap();
    let record = damage(&host, &spec.instance);
    let berthd = host.berthd();
    assert_eq!(
        berthd.observe(&spec.instance).await.unwrap(),
        Observed::Absent
    );
    berthd.take_unused_away().await.unwrap();
    berthd.ensure(&spec).await.unwrap();
    assert_eq!(
        berthd.observe(&spec.instance).await.unwrap(),
        Observed::Ready
    );
    assert!(!fs::read(record).unwrap().is_empty());

    damage(&host, &spec.instance);
    berthd
        .remove(&spec.instance, DataFate::Purge)
        .await
        .unwrap();
    assert_eq!(host.fake.container_names(), Vec::<String>::new());
    assert_eq!(host.fake.network_names(), Vec::<String>::new());
    assert_eq!(berthd.instances().await.unwrap(), []);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_keeps_only_its_own_instance_up() {
    let _turn = armed::TURN.lock().await;
    let host = Host::new();
    let spec = spec();
    let berthd = host.berthd();
    berthd.ensure(&spec).await.unwrap();
    // A directory in the place of the file: an error of the host, not of what is written.
    let other = InstanceId::from_entropy([0xef; 16]);
    let unreadable = host.data().join("instances").join(other.as_str());
    fs::create_dir_all(unreadable.join(Record::FILE)).unwrap();
    berthd.observe(&other).await.unwrap_err();
    berthd.take_unused_away().await.unwrap();
    berthd.remove(&other, DataFate::Purge).await.unwrap();
    assert_eq!(
        berthd.instances().await.unwrap(),
        std::slice::from_ref(&spec.instance)
    );
    assert_eq!(
        berthd.observe(&spec.instance).await.unwrap(),
        Observed::Ready
    );
}
