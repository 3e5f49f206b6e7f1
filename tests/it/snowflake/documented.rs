//! The configuration in `docs/snowflake.md`.

use goldwire::topology;
use loadtest::fake_snowflake::PRIVATE_KEY;

#[test]
fn the_documented_configuration_is_valid() {
    let page = include_str!("../../../docs/snowflake.md");
    let (_, block) = page.split_once("```yaml\n").unwrap();
    let (sinks, _) = block.split_once("```").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("snowflake.p8");
    std::fs::write(&key, PRIVATE_KEY).unwrap();
    let file = "/etc/goldwire/snowflake.p8";
    let head = "tenant: acme\ndata_dir: data\n\
         webhook: { address: 127.0.0.1:0, insecure_plain_http: true }\n\
         sources: { hook: { webhook: { path: /hook, scheme: reltio, secrets: [x] } } }\n";
    // Also with what is commented out.
    for sinks in [sinks.to_owned(), sinks.replace("\n      # ", "\n      ")] {
        let sinks = sinks.replace(file, key.to_str().unwrap());
        let text = format!("{head}{sinks}");
        let config = topology::parse(&text, &|_| None).unwrap_or_else(|error| panic!("{error}"));
        let cloud = config.sinks["cloud"].snowflake.as_ref().unwrap();
        assert_eq!(cloud.private_key.reveal().trim(), PRIVATE_KEY.trim());
    }
}
