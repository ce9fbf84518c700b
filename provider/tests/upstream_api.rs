//! What others ask of such an API and expect of it: the library that the Go adapters are made of,
//! and the client in the HPA controller.

#[cfg(test)]
mod upstream_api {
    mod fixture;
    mod go_client;
    mod hpa_client;
    mod library;
}
