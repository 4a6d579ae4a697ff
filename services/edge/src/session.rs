//! Which realtime node owns a Socket.IO session.
//!
//! A node puts its name, 8 characters, before the Engine.IO session ids that it hands out. So any
//! replica of the edge can route any request of a session, without a cookie and without telling
//! the others. The names come from the nodes' health answers.

/// Name of a realtime node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId([u8; 8]);

impl NodeId {
    /// A name as a node tells it: exactly 8 of `A-Z a-z 0-9 _ -`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let name: [u8; 8] = text.try_into().ok()?;
        let sound = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        name.iter().all(sound).then_some(Self(name))
    }

    /// For keeping it in an atomic; never 0.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from_be_bytes(self.0)
    }

    /// The node that issued the `sid` in this query string, if there is one.
    pub(crate) fn of_query(query: &str) -> Option<Self> {
        let sid = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("sid="))?;
        Self::parse(sid.as_bytes().get(..8)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_is_the_start_of_the_sid() {
        let node = NodeId::parse(b"aB3_-xyz").unwrap();
        let query = "EIO=4&transport=polling&t=abc&sid=aB3_-xyz0123456789ABCDEFGHIJ";
        assert_eq!(NodeId::of_query(query), Some(node));
        assert_ne!(node.to_bits(), 0);
    }

    #[test]
    fn foreign_sids_have_no_node() {
        for query in [
            "",
            "EIO=4",
            "sid=",
            "sid=short",
            "sid=%2e%2e%2f%2e%2e",
            "asid=aB3_-xyz00",
        ] {
            assert_eq!(NodeId::of_query(query), None, "{query}");
        }
    }
}
