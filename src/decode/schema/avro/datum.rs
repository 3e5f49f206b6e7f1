//! The bytes of an Avro datum.

use super::Unfit;

/// What is left of a datum.
#[derive(Debug, Clone)]
pub(super) struct Datum<'a> {
    left: &'a [u8],
}

impl<'a> Datum<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// So many bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Unfit> {
        let (taken, left) = self.left.split_at_checked(length).ok_or_else(Unfit::cut)?;
        self.left = left;
        Ok(taken)
    }

    /// As many bytes as the array has.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Unfit> {
        let (taken, left) = self.left.split_first_chunk().ok_or_else(Unfit::cut)?;
        self.left = left;
        Ok(*taken)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Unfit> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [_] => Err(Unfit::because("a boolean that is neither 0 nor 1")),
        }
    }

    pub(super) fn long(&mut self) -> Result<i64, Unfit> {
        let too_long = || Unfit::because("a number of more than 64 bits");
        let (mut number, mut shift) = (0_u64, 0_u32);
        loop {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift > 63 || shift == 63 && bits > 1 {
                return Err(too_long());
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
        }
        // Zigzag: the lowest bit is the sign.
        let magnitude = (number >> 1).cast_signed();
        Ok(if number & 1 == 0 {
            magnitude
        } else {
            !magnitude
        })
    }

    pub(super) fn int(&mut self) -> Result<i32, Unfit> {
        let too_long = |_| Unfit::because("an int of more than 32 bits");
        i32::try_from(self.long()?).map_err(too_long)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Unfit> {
        let length = usize::try_from(self.long()?);
        self.take(length.map_err(|_| Unfit::because("a length below 0"))?)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Unfit> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| Unfit::because("a string that is not UTF-8"))
    }

    /// Reads the blocks of an array or a map: `item` is called for each of their items.
    pub(super) fn blocks(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Unfit>,
    ) -> Result<(), Unfit> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // The block's bytes, for who skips it.
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
        }
    }

    /// Refuses what is left over.
    pub(super) fn end(&self) -> Result<(), Unfit> {
        match self.left.len() {
            0 => Ok(()),
            left => {
                let why =
                    format!("{left} bytes are left behind the value that the schema describes");
                Err(Unfit::because(why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_zigzag_and_at_most_64_bits() {
        let long = |bytes: &[u8]| Datum::new(bytes).long().ok();
        assert_eq!(long(&[0]), Some(0));
        assert_eq!(long(&[1]), Some(-1));
        assert_eq!(long(&[0x80, 0x01]), Some(64));
        let mut most = [0xff; 10];
        most[9] = 1;
        assert_eq!(long(&most), Some(i64::MIN));
        most[0] = 0xfe;
        assert_eq!(long(&most), Some(i64::MAX));
        most[9] = 2;
        assert_eq!(long(&most), None);
        assert_eq!(long(&[0xff; 11]), None);
        assert_eq!(long(&[0x80]), None);
    }
}
