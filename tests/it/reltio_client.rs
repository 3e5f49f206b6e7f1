//! reltio_client
