//! The rules of the admin listener.

use serde_json::json;

use super::rules::refused;
use super::{problems, with};

#[test]
fn the_admin_listener_outside_loopback_needs_a_token_and_tls() {
    let mut tree = with("/admin/address", "0.0.0.0:9464");
    assert_eq!(problems(&tree), Vec::<String>::new());
    let tls = tree["admin"]
        .as_object_mut()
        .unwrap()
        .remove("tls")
        .unwrap();
    refused(&tree, "admin.address", "add admin.tls");
    refused(&tree, "admin.address", "admin.insecure_plain_http: true");
    tree["admin"]["insecure_plain_http"] = json!(true);
    assert_eq!(problems(&tree), Vec::<String>::new());
    tree["admin"]["tls"] = tls;
    refused(&tree, "admin.tls", "remove insecure_plain_http");
    tree["admin"]["insecure_plain_http"] = json!(false);
    tree["admin"].as_object_mut().unwrap().remove("token");
    refused(&tree, "admin.address", "add admin.token");
}
