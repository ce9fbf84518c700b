//! Where the official files of each program are, and where their digests. All pure.

use crate::assets::{
    Mirrors,
    program::{ETCD, KUBERNETES, KWOK, Program},
};

/// <https://kubernetes.io/releases/download/#binaries>
pub(crate) const KUBERNETES_BASE: &str = "https://dl.k8s.io";
/// <https://github.com/etcd-io/etcd/releases>
pub(crate) const ETCD_BASE: &str = "https://github.com/etcd-io/etcd/releases/download";
/// <https://github.com/kubernetes-sigs/kwok/releases>
pub(crate) const KWOK_BASE: &str = "https://github.com/kubernetes-sigs/kwok/releases/download";
/// kwok's releases have no checksum files (its `hack/releases.sh` uploads the programs alone), but
/// GitHub publishes the SHA-256 of each file of a release.
const KWOK_RELEASES: &str = "https://api.github.com/repos/kubernetes-sigs/kwok/releases/tags";

/// One file of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) url: String,
    pub(crate) digest: Digest,
    /// Path of the program in the archive, when the file is a `.tar.gz`.
    pub(crate) member: Option<String>,
}

/// Where the SHA-256 of a file is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Digest {
    /// In a file of its own, alone or followed by the file's name.
    Beside { url: String },
    /// In a list as `sha256sum` prints it.
    Listed { url: String, file: String },
    /// In GitHub's description of the release
    /// (<https://docs.github.com/rest/releases/releases#get-a-release-by-tag-name>, `digest`).
    GithubAsset { url: String, file: String },
}

/// The file that holds `program` for `arch` (Go's name for it) on Linux.
pub(crate) fn release(program: Program, mirrors: &Mirrors, arch: &str) -> Release {
    match program {
        Program::Etcd => {
            let folder = format!("{}/v{ETCD}", base(&mirrors.etcd));
            let stem = format!("etcd-v{ETCD}-linux-{arch}");
            let file = format!("{stem}.tar.gz");
            Release {
                url: format!("{folder}/{file}"),
                digest: Digest::Listed { url: format!("{folder}/SHA256SUMS"), file },
                member: Some(format!("{stem}/etcd")),
            }
        }
        Program::Kwok => {
            let file = format!("kwok-linux-{arch}");
            let url = format!("{}/v{KWOK}/{file}", base(&mirrors.kwok));
            let digest = if base(&mirrors.kwok) == KWOK_BASE {
                Digest::GithubAsset { url: format!("{KWOK_RELEASES}/v{KWOK}"), file }
            } else {
                Digest::Beside { url: format!("{url}.sha256") }
            };
            Release { url, digest, member: None }
        }
        _ => {
            let base = base(&mirrors.kubernetes);
            let url = format!("{base}/v{KUBERNETES}/bin/linux/{arch}/{program}");
            Release { digest: Digest::Beside { url: format!("{url}.sha256") }, url, member: None }
        }
    }
}

fn base(url: &url::Url) -> &str {
    url.as_str().trim_end_matches('/')
}

impl Digest {
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Beside { url } | Self::Listed { url, .. } | Self::GithubAsset { url, .. } => url,
        }
    }

    /// The digest, in lower-case hex, out of the document at [`Digest::url`].
    pub(crate) fn read(&self, document: &str) -> Option<String> {
        let digest = match self {
            Self::Beside { .. } => document.split_whitespace().next()?.to_owned(),
            Self::Listed { file, .. } => document.lines().find_map(|line| {
                let (digest, name) = line.split_once(char::is_whitespace)?;
                // `*` marks a file that was read as binary.
                (name.trim().trim_start_matches('*') == file).then(|| digest.to_owned())
            })?,
            Self::GithubAsset { file, .. } => {
                let release: serde_json::Value = serde_json::from_str(document).ok()?;
                let asset = release
                    .get("assets")?
                    .as_array()?
                    .iter()
                    .find(|asset| asset["name"] == **file)?;
                asset.get("digest")?.as_str()?.strip_prefix("sha256:")?.to_owned()
            }
        };
        let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then(|| digest.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn mirrors(kwok: &str) -> Mirrors {
        let url = |text: &str| text.parse().unwrap();
        Mirrors { kubernetes: url(KUBERNETES_BASE), etcd: url(ETCD_BASE), kwok: url(kwok) }
    }

    fn url() -> String {
        String::from("http://x/")
    }

    #[test]
    fn official_files_are_where_the_projects_publish_them() {
        let all = Program::ALL.map(|program| release(program, &mirrors(KWOK_BASE), "amd64"));
        insta::assert_debug_snapshot!(all);
    }

    #[test]
    fn a_mirror_of_kwok_has_the_digest_beside_the_file() {
        let release = release(Program::Kwok, &mirrors("http://mirror.test/kwok/"), "arm64");
        assert_eq!(release.url, "http://mirror.test/kwok/v0.8.0/kwok-linux-arm64");
        assert_eq!(release.digest.url(), "http://mirror.test/kwok/v0.8.0/kwok-linux-arm64.sha256");
    }

    #[test]
    fn a_digest_beside_the_file_may_be_followed_by_its_name() {
        let digest = Digest::Beside { url: url() };
        assert_eq!(digest.read(A).as_deref(), Some(A));
        assert_eq!(digest.read(&format!("{}  kwok\n", A.to_uppercase())).as_deref(), Some(A));
        assert_eq!(digest.read("<html>not found</html>"), None);
        assert_eq!(digest.read(""), None);
    }

    #[test]
    fn a_list_of_digests_is_searched_for_the_whole_name() {
        let digest = Digest::Listed { url: url(), file: "etcd.tar.gz".into() };
        let list = format!("{A}  old-etcd.tar.gz\n{B} *etcd.tar.gz\n");
        assert_eq!(digest.read(&list).as_deref(), Some(B));
        assert_eq!(digest.read(&format!("{A}  etcd.tar.gz.asc\n")), None);
    }

    #[test]
    fn github_lists_the_digest_of_each_asset_with_its_kind() {
        let digest = Digest::GithubAsset { url: url(), file: "kwok-linux-amd64".into() };
        let release = serde_json::json!({"assets": [
            {"name": "kwok-darwin-amd64", "digest": format!("sha256:{A}")},
            {"name": "kwok-linux-amd64", "digest": format!("sha256:{B}")},
        ]});
        assert_eq!(digest.read(&release.to_string()).as_deref(), Some(B));
        assert_eq!(digest.read(r#"{"assets":[{"name":"kwok-linux-amd64","digest":null}]}"#), None);
        assert_eq!(digest.read(r#"{"message":"API rate limit exceeded"}"#), None);
    }
}
