//! What a power cut would leave: asked at the moment of each answer, since an answer is what
//! others build on.

use crate::ContainerPlatform;
use crate::crash::armed;
use crate::matrix::{Host, POSTGRESQL, spec};
use crate::power_cut::Watch;
use crate::record::Record;
use crate::runtime::Containers as _;
use berth_domain::{EngineName, InstanceId, Observed};
use berth_platform::{DataFate, Endpoint, InstanceSpec, Origin, Platform, Supply};
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

/// Whether the images of an instance are here, and what of them is.
async fn supply(berthd: &ContainerPlatform, spec: &InstanceSpec) -> Supply {
    let both = [Endpoint::Engine, Endpoint::Pooler];
    let asked = berthd.obtain_images(&spec.instance, &spec.engine, &spec.version, &both);
    asked.await.unwrap()
}

/// Builds anew what engine and pooler run from.
fn rebuild(host: &Host) {
    for image in ["berth/postgresql:17", "berth/pgbouncer:1"] {
        host.fake.build_image(image);
    }
}

#[tokio::test]
async fn a_damaged_record_lets_no_other_image_under_data() {
    let _turn = armed::TURN.lock().await;
    let host = Host::new();
    let spec = spec();
    host.berthd().ensure(&spec).await.unwrap();
    let record = damage(&host, &spec.instance);
    rebuild(&host);
    let berthd = host.berthd();
    let calls = || ["create", "stop", "start"].map(|verb| host.fake.calls(verb));
    let before = calls();
    assert_eq!(supply(&berthd, &spec).await, Supply::Here);
    berthd.ensure(&spec).await.unwrap();
    assert_eq!(calls(), before, "nothing starts anew");
    let told: Record = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    let ids = (told.engine_image.as_str(), told.pooler_image.as_deref());
    let wanted = ("fake:berth/postgresql:17", Some("fake:berth/pgbouncer:1"));
    assert_eq!(ids, wanted);
    assert!(berthd.has_newer_image(&spec.instance).await.unwrap());

    // What its containers were made from may be gone, too.
    damage(&host, &spec.instance);
    host.fake.prune_images();
    assert_eq!(supply(&berthd, &spec).await, Supply::Replaced);
}

#[tokio::test]
async fn data_of_which_nothing_tells_its_image_is_told_to_run_on_another() {
    let _turn = armed::TURN.lock().await;
    for is_in_trash in [false, true] {
        let host = Host::new();
        let spec = spec();
        let berthd = host.berthd();
        berthd.ensure(&spec).await.unwrap();
        damage(&host, &spec.instance);
        if is_in_trash {
            let remove = berthd.remove(&spec.instance, DataFate::Trash);
            remove.await.unwrap();
        } else {
            for container in host.fake.find("0123abcd", None).await.unwrap() {
                host.fake.stop(&container.id).await.unwrap();
                host.fake.remove(&container.id).await.unwrap();
            }
        }
        // As often as it is asked, until the instance is bound to the other one.
        for _ in 0..2 {
            assert_eq!(supply(&berthd, &spec).await, Supply::Replaced);
        }
        berthd.ensure(&spec).await.unwrap();
        assert_eq!(supply(&berthd, &spec).await, Supply::Here);
    }
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
