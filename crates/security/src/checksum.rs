//! Checksums of files.

use std::io::{self, Write};

use aws_lc_rs::digest::{Context, SHA256};

use crate::hex::hex;

/// Makes a SHA-256 of what is written to it.
pub struct Checksum(Context);

impl Default for Checksum {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Checksum {
    /// That of all that was written, in lower-case hexadecimal.
    #[must_use]
    pub fn finish(self) -> String {
        hex(self.0.finish().as_ref())
    }
}

impl Write for Checksum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_fips_180_however_it_is_written() {
        let mut sum = Checksum::default();
        sum.write_all(b"a").unwrap();
        sum.write_all(b"bc").unwrap();
        assert_eq!(sum.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
