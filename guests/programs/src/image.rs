//! A filter of pictures.

use crate::random::Random;

/// Four bytes for each point, of which the last is no colour.
pub(crate) struct Picture {
    width: usize,
    height: usize,
    points: Vec<[u8; 4]>,
}

impl Picture {
    pub(crate) fn at_random(width: usize, height: usize) -> Picture {
        let mut random = Random::new(4);
        let points = (0..width * height).map(|_| (random.next() as u32).to_le_bytes());
        Picture {
            width,
            height,
            points: points.collect(),
        }
    }

    /// Gives each point the mean of those around it, and returns the sum of one colour.
    pub(crate) fn blur(&mut self) -> u64 {
        const WEIGHTS: [[u32; 3]; 3] = [[1, 2, 1], [2, 4, 2], [1, 2, 1]];
        let mut blurred = self.points.clone();
        for y in 1..self.height - 1 {
            for x in 1..self.width - 1 {
                let mut sums = [0; 3];
                for (row, weights) in WEIGHTS.iter().enumerate() {
                    let start = (y + row - 1) * self.width + x - 1;
                    let around = &self.points[start..start + 3];
                    for (point, weight) in around.iter().zip(weights) {
                        for (sum, colour) in sums.iter_mut().zip(point) {
                            *sum += weight * u32::from(*colour);
                        }
                    }
                }
                let point = &mut blurred[y * self.width + x];
                for (colour, sum) in point.iter_mut().zip(sums) {
                    *colour = (sum / 16) as u8;
                }
            }
        }
        self.points = blurred;
        self.points.iter().map(|point| u64::from(point[0])).sum()
    }
}
