//! Which Services lead to which pod, and what nodes and namespaces say about themselves: what node
//! agents tag their metrics with. A pure map of what was seen; [`watch`] feeds it.
//!
//! Of a cluster with 10,000 pods only names are kept, each once: a pod's name is shared by the
//! slice that it is in and by the index that finds it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

pub mod objects;
pub mod watch;

use self::objects::Slice;

/// The most pods of slices that are kept, each as often as slices name it: some 150 bytes each, and
/// more than the 150,000 pods that Kubernetes is made for.
pub const MOST: usize = 400_000;

/// A name that is shared.
type Name = Arc<str>;
/// Key and value of labels or annotations.
pub type Pairs = BTreeMap<Box<str>, Box<str>>;

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watched {
    /// What leads from Services to pods.
    EndpointSlices,
    /// Labels and annotations of nodes.
    Nodes,
    /// Labels and annotations of namespaces.
    Namespaces,
}

impl Watched {
    /// As RBAC names it.
    pub fn resource(self) -> &'static str {
        match self {
            Self::EndpointSlices => "endpointslices",
            Self::Nodes => "nodes",
            Self::Namespaces => "namespaces",
        }
    }
}

/// Labels and annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// All labels.
    pub labels: Pairs,
    /// Those annotations that somebody asks for.
    pub annotations: Pairs,
}

/// Something happened to an object of a kind; lists come between `Begin` and `End`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<T> {
    /// A list begins: what it does not have is gone.
    Begin,
    /// An object as it is now.
    Is(T),
    /// An object is gone.
    Gone(T),
    /// A list is complete.
    End,
}

/// An object of the cluster, and its metadata.
pub type Named = (Name, Metadata);

/// One event of one of the watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Of an `EndpointSlice`.
    Slice(Event<Slice>),
    /// Of a node.
    Node(Event<Named>),
    /// Of a namespace.
    Namespace(Event<Named>),
}

/// A Service of a pod, and how many of its slices name the pod (IPv4 and IPv6 have their own).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Service {
    name: Name,
    slices: u32,
}

/// The pods of a namespace with their Services, sorted by name.
type Pods = BTreeMap<Name, Vec<Service>>;

/// What a slice has put into the index.
#[derive(Debug)]
struct Kept {
    service: Name,
    namespace: Name,
    /// Node and pod.
    pods: Box<[(Name, Name)]>,
}

/// The map.
#[derive(Debug)]
pub struct ServiceMap {
    slices: HashMap<(Name, Box<str>), Kept>,
    index: BTreeMap<Name, BTreeMap<Name, Pods>>,
    nodes: Objects,
    namespaces: Objects,
    /// Slices that a list has named so far, while it is not complete.
    listed: Option<HashSet<(Name, Box<str>)>>,
    ready: bool,
    kept: usize,
    most: usize,
    left_out: bool,
    troubles: BTreeMap<Watched, String>,
}

/// Objects that have nothing but a name.
#[derive(Debug, Default)]
struct Objects {
    known: BTreeMap<Name, Metadata>,
    listed: Option<HashSet<Name>>,
    ready: bool,
}

impl Default for ServiceMap {
    fn default() -> Self {
        Self::bounded(MOST)
    }
}

impl ServiceMap {
    /// One that keeps `most` pods of slices.
    pub fn bounded(most: usize) -> Self {
        Self {
            slices: HashMap::new(),
            index: BTreeMap::new(),
            nodes: Objects::default(),
            namespaces: Objects::default(),
            listed: None,
            ready: false,
            kept: 0,
            most,
            left_out: false,
            troubles: BTreeMap::new(),
        }
    }

    /// Takes in what happened.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Node(event) => {
                self.works(Watched::Nodes, &event);
                self.nodes.apply(event);
            }
            Change::Namespace(event) => {
                self.works(Watched::Namespaces, &event);
                self.namespaces.apply(event);
            }
            Change::Slice(event) => {
                self.works(Watched::EndpointSlices, &event);
                self.apply_slice(event);
            }
        }
    }

    /// A watch that begins anew says so before it is refused again.
    fn works<T>(&mut self, watched: Watched, event: &Event<T>) {
        if !matches!(event, Event::Begin) {
            self.troubles.remove(&watched);
        }
    }

    /// A kind cannot be read; what is known of it stays.
    pub fn unreadable(&mut self, watched: Watched, reason: String) {
        self.troubles.insert(watched, reason);
    }

    fn apply_slice(&mut self, event: Event<Slice>) {
        match event {
            Event::Begin => self.listed = Some(HashSet::new()),
            Event::Is(slice) => {
                let key = self.remove(&slice);
                if let Some(listed) = &mut self.listed {
                    listed.insert(key.clone());
                }
                self.add(key, slice);
            }
            Event::Gone(slice) => {
                self.remove(&slice);
            }
            Event::End => {
                let Some(listed) = self.listed.take() else { return };
                let gone: Vec<_> =
                    self.slices.keys().filter(|key| !listed.contains(*key)).cloned().collect();
                for key in gone {
                    self.remove_key(&key);
                }
                self.ready = true;
                self.left_out &= self.kept >= self.most;
            }
        }
    }

    fn remove(&mut self, slice: &Slice) -> (Name, Box<str>) {
        let key = (Name::from(&*slice.namespace), slice.name.clone());
        self.remove_key(&key);
        key
    }

    fn remove_key(&mut self, key: &(Name, Box<str>)) {
        let Some(Kept { service, namespace, pods }) = self.slices.remove(key) else { return };
        self.kept -= pods.len();
        for (node, pod) in &pods {
            let Some(namespaces) = self.index.get_mut(node) else { continue };
            let Some(known) = namespaces.get_mut(&namespace) else { continue };
            if let Some(services) = known.get_mut(pod) {
                for known in services.iter_mut().filter(|it| it.name == service) {
                    known.slices -= 1;
                }
                services.retain(|it| it.slices > 0);
                if services.is_empty() {
                    known.remove(pod);
                }
            }
            if known.is_empty() {
                namespaces.remove(&namespace);
            }
            if namespaces.is_empty() {
                self.index.remove(node);
            }
        }
    }

    fn add(&mut self, key: (Name, Box<str>), slice: Slice) {
        let Some(service) = slice.service.filter(|_| !slice.pods.is_empty()) else { return };
        if self.kept + slice.pods.len() > self.most {
            self.left_out = true;
            return;
        }
        let service = self.service_of(&slice.namespace, &slice.pods, &service);
        let mut pods = Vec::with_capacity(slice.pods.len());
        let mut seen = HashSet::with_capacity(slice.pods.len());
        for place in &slice.pods {
            if seen.insert(place) {
                pods.push(self.link(&service, &key.0, place));
            }
        }
        self.kept += pods.len();
        let namespace = key.0.clone();
        self.slices.insert(key, Kept { service, namespace, pods: pods.into() });
    }

    /// The Service's name as another of its slices has it, by way of a pod that both name.
    fn service_of(&self, namespace: &str, pods: &[(Box<str>, Box<str>)], service: &str) -> Name {
        let known = pods.first().and_then(|(node, pod)| self.services(node, namespace, pod));
        let known = known.and_then(|known| known.iter().find(|it| &*it.name == service));
        known.map_or_else(|| service.into(), |it| it.name.clone())
    }

    /// Puts a pod into the index; gives the names as the index has them.
    fn link(
        &mut self,
        service: &Name,
        namespace: &Name,
        place: &(Box<str>, Box<str>),
    ) -> (Name, Name) {
        let (node, pod) = place;
        let node = shared(&self.index, node);
        let namespaces = self.index.entry(node.clone()).or_default();
        let pods = namespaces.entry(namespace.clone()).or_default();
        let pod = shared(pods, pod);
        let services = pods.entry(pod.clone()).or_default();
        match services.binary_search_by(|it| it.name.cmp(service)) {
            Ok(at) => services[at].slices += 1,
            Err(at) => {
                services.reserve_exact(1);
                services.insert(at, Service { name: service.clone(), slices: 1 });
            }
        }
        (node, pod)
    }

    fn services(&self, node: &str, namespace: &str, pod: &str) -> Option<&[Service]> {
        Some(self.index.get(node)?.get(namespace)?.get(pod)?)
    }

    /// The names of the Services that lead to a pod, sorted.
    pub fn services_of(
        &self,
        node: &str,
        namespace: &str,
        pod: &str,
    ) -> impl Iterator<Item = &str> {
        self.services(node, namespace, pod).unwrap_or_default().iter().map(|it| &*it.name)
    }

    /// Every node that has pods of Services.
    pub fn nodes_with_pods(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(|node| &**node)
    }

    /// The namespaces of `node`, their pods, and the names of their Services.
    pub fn pods_of(&self, node: &str) -> BTreeMap<&str, BTreeMap<&str, Vec<&str>>> {
        let Some(namespaces) = self.index.get(node) else { return BTreeMap::new() };
        let of = |pods| -> BTreeMap<&str, Vec<&str>> {
            let pods: &Pods = pods;
            pods.iter()
                .map(|(pod, services)| (&**pod, services.iter().map(|it| &*it.name).collect()))
                .collect()
        };
        namespaces.iter().map(|(namespace, pods)| (&**namespace, of(pods))).collect()
    }

    /// All nodes, with pods or without.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.known.keys().map(|node| &**node)
    }

    /// What a node says about itself.
    pub fn node(&self, name: &str) -> Option<&Metadata> {
        self.nodes.known.get(name)
    }

    /// What a namespace says about itself.
    pub fn namespace(&self, name: &str) -> Option<&Metadata> {
        self.namespaces.known.get(name)
    }

    /// Whether all objects of this kind have been read once.
    pub fn is_ready(&self, watched: Watched) -> bool {
        match watched {
            Watched::EndpointSlices => self.ready,
            Watched::Nodes => self.nodes.ready,
            Watched::Namespaces => self.namespaces.ready,
        }
    }

    /// What is wrong with the reading of a kind.
    pub fn trouble(&self, watched: Watched) -> Option<&str> {
        self.troubles.get(&watched).map(String::as_str)
    }

    /// What somebody who reads the whole map should know.
    pub fn warnings(&self) -> Vec<String> {
        let troubles = self.troubles.iter();
        let mut warnings: Vec<_> = troubles
            .map(|(watched, reason)| format!("{} cannot be read: {reason}", watched.resource()))
            .collect();
        if self.left_out {
            warnings.push(format!("more than {} pods of Services, some are left out", self.most));
        }
        warnings
    }
}

/// `name` as the map has it, so that both share its bytes.
fn shared<V>(map: &BTreeMap<Name, V>, name: &str) -> Name {
    map.get_key_value(name).map_or_else(|| name.into(), |(known, _)| known.clone())
}

impl Objects {
    fn apply(&mut self, event: Event<Named>) {
        match event {
            Event::Begin => self.listed = Some(HashSet::new()),
            Event::Is((name, metadata)) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(name.clone());
                }
                self.known.insert(name, metadata);
            }
            Event::Gone((name, _)) => {
                self.known.remove(&name);
            }
            Event::End => {
                let Some(listed) = self.listed.take() else { return };
                self.known.retain(|name, _| listed.contains(name));
                self.ready = true;
            }
        }
    }
}

#[cfg(test)]
mod tests;
