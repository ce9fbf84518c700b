use super::*;

#[test]
fn fields_are_the_first_word_after_their_name() {
    let text = "MemTotal:  24683992 kB\nMemAvailable:   20176832 kB\n";
    assert_eq!(field(text, "MemAvailable:"), Some("20176832"));
    assert_eq!(field(text, "SwapFree:"), None);
}

#[tokio::test]
async fn a_program_that_fails_is_quoted_in_one_line() {
    let shell = Path::new("/bin/sh");
    assert_eq!(read(shell, ["-c", "echo well"]).await.as_deref(), Ok("well\n"));
    let said = read(shell, ["-c", "echo one >&2; echo two >&2; exit 3"]).await;
    assert_eq!(said, Err("two".to_owned()));
    assert_eq!(read(shell, ["-c", "exit 3"]).await, Err("exit status: 3".to_owned()));
    assert!(read(Path::new("/nonexistent"), ["x"]).await.is_err());
}

#[tokio::test]
async fn a_host_that_is_not_there_does_not_answer() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let port = Ports::new(77).reserve().unwrap().release();
    let said = answer(&format!("http://127.0.0.1:{port}/v2/")).await.unwrap_err();
    assert!(said.contains("refused"), "{said}");
}

#[test]
fn a_folder_that_is_not_there_has_no_free_space() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(disk(folder.path().join("missing")).free, None);
    assert!(disk("/".into()).free.is_some());
}
