//! Files on S3: an S3 server of this process, by another's code, and faults that are planted before it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleError;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use goldwire::event::{Kind, SubjectState};
use goldwire::sink::Sink as _;
use goldwire::sink::lake::Lake;
use goldwire::sink::pieces::Landed;
use s3s::HttpError;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::task::AbortOnDropHandle;

use super::erasure::{land, person};
use super::pieces::{change, lake, place, write};
use super::{files, rows};

const KEY: &str = "goldwire-tests";
const SECRET: &str = "not-a-secret";

/// What the next requests of a method are answered, how often, and whether the server takes them all
/// the same.
#[derive(Debug, Clone)]
struct Fault {
    method: Method,
    status: u16,
    times: usize,
    is_late: bool,
}

type Faults = Arc<Mutex<Option<Fault>>>;

/// A server with the bucket `lake`.
struct Server {
    dir: TempDir,
    faults: Faults,
    endpoint: String,
    _serving: AbortOnDropHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("lake")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(dir.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let refused = async |error: HttpError| {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")).into_response()
        };
        let faults = Faults::default();
        let router = Router::new()
            .fallback_service(HandleError::new(service.build(), refused))
            .layer(from_fn_with_state(Arc::clone(&faults), with_faults));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self {
            dir,
            faults,
            endpoint,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    fn lake(&self, more: &Value) -> Lake {
        let mut config = json!({
            "url": "s3://lake/bronze/reltio", "insecure_plain_http": true,
            "options": { "endpoint": self.endpoint, "region": "eu-central-1",
                         "access_key_id": KEY, "secret_access_key": SECRET },
        });
        let members = config.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        lake(self.dir.path(), &config)
    }

    fn fail(&self, method: Method, status: u16, times: usize, is_late: bool) {
        *self.faults.lock().unwrap() = Some(Fault {
            method,
            status,
            times,
            is_late,
        });
    }
}

async fn with_faults(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    let due = {
        let mut faults = faults.lock().unwrap();
        let fault = faults.as_mut();
        let fault = fault.filter(|it| it.times > 0 && it.method == *request.method());
        fault.map(|fault| {
            fault.times -= 1;
            fault.clone()
        })
    };
    let Some(fault) = due else {
        return next.run(request).await;
    };
    if fault.is_late {
        next.run(request).await;
    }
    let body = Body::from("<Error><Code>Planted</Code><Message>planted</Message></Error>");
    (StatusCode::from_u16(fault.status).unwrap(), body).into_response()
}

#[tokio::test]
async fn g5_on_s3_a_file_lands_once_and_one_that_a_recovery_did_not_find_never() {
    let server = Server::start().await;
    let (late, recovery) = (server.lake(&json!({})), server.lake(&json!({})));
    let (late, recovery) = (
        late.pieces(&place(2)).unwrap(),
        recovery.pieces(&place(2)).unwrap(),
    );
    late.gather(&[person("entities/a", 1)]).await;
    let seal = late.seal(1).unwrap();
    assert_eq!(recovery.landed(&seal).await.unwrap(), Landed::Never);
    assert_eq!(late.land(&seal).await.unwrap(), Landed::Never);
    late.gather(&[person("entities/a", 1)]).await;
    let seal = late.seal(2).unwrap();
    assert_eq!(late.land(&seal).await.unwrap(), Landed::Yes);
    assert_eq!(recovery.landed(&seal).await.unwrap(), Landed::Yes);
    let found = files(&server.dir.path().join("lake/bronze/reltio"));
    let counts: Vec<usize> = found.iter().map(|file| rows(file).len()).collect();
    assert_eq!(counts, [0, 1]);
}

#[tokio::test]
async fn g5_a_put_whose_answer_was_lost_is_found_to_have_landed() {
    let server = Server::start().await;
    let lake = server.lake(&json!({}));
    let pieces = lake.pieces(&place(2)).unwrap();
    pieces.gather(&[person("entities/a", 1)]).await;
    let seal = pieces.seal(1).unwrap();
    // The client's own second try meets the file that its first one made.
    server.fail(Method::PUT, 503, 1, true);
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
    assert_eq!(rows(&files(server.dir.path())[0]).len(), 1);
}

#[tokio::test]
async fn a_refusal_of_s3_is_tried_again_or_told_with_its_remedy() {
    let server = Server::start().await;
    let lake = server.lake(&json!({}));
    let pieces = lake.pieces(&place(2)).unwrap();
    pieces.gather(&[person("entities/a", 1)]).await;
    let seal = pieces.seal(1).unwrap();
    for (status, said) in [
        (503, "will be tried again"),
        (403, "let the sink's credentials get, put and list"),
        (404, "make the bucket"),
    ] {
        server.fail(Method::PUT, status, 10, false);
        let error = pieces.land(&seal).await.unwrap_err().to_string();
        assert!(error.contains(said), "{status}: {error}");
    }
    server.fail(Method::PUT, 503, 1, false);
    assert_eq!(pieces.land(&seal).await.unwrap(), Landed::Yes);
    assert_eq!(lake.probe().await, Vec::<String>::new());
    server.fail(Method::HEAD, 403, 10, false);
    let wrong = lake.probe().await;
    assert!(wrong[0].contains("let the sink's credentials"), "{wrong:?}");
}

#[tokio::test]
async fn what_was_erased_is_taken_out_of_files_on_s3_by_conditional_puts() {
    let server = Server::start().await;
    let lake = server.lake(&json!({ "erase_within": "4h", "keeps_erased_records": false }));
    let pieces = lake.pieces(&place(2)).unwrap();
    let pieces = pieces.as_ref();
    land(pieces, &[person("entities/a", 1), person("entities/b", 1)]).await;
    let erased = change(2, Kind::Erased, SubjectState::Erased);
    land(pieces, &[write("entities/a", vec![erased])]).await;
    // The answer to the first put is lost: the second finds the file changed, and reads it again.
    server.fail(Method::PUT, 503, 1, true);
    lake.take_out_erased().await.unwrap();
    let found = files(&server.dir.path().join("lake/bronze/reltio"));
    let counts: Vec<usize> = found.iter().map(|file| rows(file).len()).collect();
    assert_eq!(counts, [1, 1]);
    assert_eq!(lake.take_out_erased().await.unwrap(), 0, "no note is left");
}
