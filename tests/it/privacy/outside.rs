//! Reltio, a Salesforce org and a PostgreSQL server that refuse, and quote personal data in every
//! word of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How many writes the org was asked for.
type Writes = State<Arc<AtomicUsize>>;

/// Reltio below `/reltio`, Salesforce beside it.
pub(super) async fn http() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let token = json!({ "access_token": "canary-reltio-token", "expires_in": 3600 });
    let granted = json!({
        "access_token": "canary-salesforce-token", "instance_url": format!("http://{address}"),
    });
    let nothing = json!({ "totalSize": 0, "done": true, "records": [] });
    let routes = Router::new()
        .route("/reltio/token", post(async || Json(token)))
        .route("/reltio/api/acme/entities/{id}", get(read))
        .route("/services/oauth2/token", post(async || Json(granted)))
        .route("/services/data/v66.0/query", get(async || Json(nothing)))
        .route(
            "/services/data/v66.0/sobjects/Contact/describe",
            get(denied),
        )
        .route("/services/data/v66.0/composite/sobjects", post(write))
        .with_state(Arc::default());
    tokio::spawn(axum::serve(listener, routes).into_future());
    address
}

/// Says what is wrong in headers, too.
fn refused(status: u16, body: Value) -> Response {
    let header = (HeaderName::from_static("x-detail"), "canary-header");
    let place = (header::LOCATION, "https://example.com/canary-location");
    (
        StatusCode::from_u16(status).unwrap(),
        [header, place],
        Json(body),
    )
        .into_response()
}

async fn read(Path(id): Path<String>) -> Response {
    let problem = json!({
        "errorCode": 7, "errorMessage": "canary-reltio-message: Ada Lovelace",
        "errorDetailMessage": "canary-reltio-detail",
    });
    match id.as_str() {
        "foreign" => (StatusCode::NOT_FOUND, "<h1>canary-page</h1>").into_response(),
        "garbled" => (StatusCode::OK, "{\"uri\": canary-garbled").into_response(),
        "moved" => refused(302, problem),
        "forbidden" => refused(403, problem),
        "missing" => refused(404, problem),
        _ => refused(500, problem),
    }
}

async fn denied() -> Response {
    let text = "canary-describe: you may not";
    refused(
        403,
        json!([{ "errorCode": "INSUFFICIENT_ACCESS", "message": text }]),
    )
}

/// Unavailable, then every row refused, then the whole request, then whoever asks.
async fn write(State(writes): Writes, Json(body): Json<Value>) -> Response {
    let problem = |code: &str| {
        json!({
            "statusCode": code, "errorCode": code, "message": "canary-message: Ada Lovelace",
            "fields": ["FirstName", "canary-field of Ada"],
        })
    };
    match writes.fetch_add(1, Ordering::SeqCst) {
        0 => refused(503, json!([problem("SERVER_UNAVAILABLE")])),
        1 => {
            let rows = body["records"].as_array().unwrap().iter();
            let codes = ["canary-code: Ada", "FIELD_CUSTOM_VALIDATION_EXCEPTION"];
            let row = |code| json!({ "success": false, "errors": [problem(code)] });
            let answers = rows.zip(codes.iter().cycle()).map(|(_, code)| row(code));
            Json(answers.collect::<Vec<_>>()).into_response()
        }
        2 => refused(400, json!([problem("JSON_PARSER_ERROR")])),
        _ => refused(403, json!([problem("canary-code: no")])),
    }
}

/// A server that is starting up, then refuses the password; both with a warning before it.
pub(super) async fn postgres() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for visit in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let code = if visit == 0 { "57P03" } else { "28P01" };
            // Whether the client waits for the end is its own affair.
            turn_away(stream, code).await.ok();
        }
    });
    address
}

async fn turn_away(mut stream: TcpStream, code: &str) -> std::io::Result<()> {
    let length = stream.read_u32().await?;
    let mut startup = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut startup).await?;
    for severity in ["DEBUG", "LOG", "INFO", "NOTICE", "WARNING"] {
        stream.write_all(&message(b'N', severity, "00000")).await?;
    }
    stream.write_all(&message(b'E', "FATAL", code)).await?;
    stream.shutdown().await
}

/// `NoticeResponse` or `ErrorResponse`, with every text that one may have.
fn message(kind: u8, severity: &str, code: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    let text = "canary-postgres: Key (email)=(ada@example.com) already exists";
    for (name, value) in [
        (b'S', severity),
        (b'V', severity),
        (b'C', code),
        (b'M', text),
        (b'D', text),
        (b'H', text),
        (b'W', text),
        (b'q', text),
    ] {
        fields.push(name);
        fields.extend_from_slice(value.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    let length = u32::try_from(fields.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), &fields].concat()
}
