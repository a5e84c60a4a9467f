//! The form of a bench's report: a table, the raw figures, then lines `RATIO <name> <figure>` in which
//! above 1 means better than the peer or within the budget.

/// Rows under a heading, with columns as wide as they need to be.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }

    /// Prints it: the first column to the left, figures to the right.
    pub fn print(&self) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in &self.rows {
            let mut line = String::from("  ");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                line += &if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
            }
            println!("{}", line.trim_end());
        }
    }
}

/// The middle value; of an even number of values, the mean of the two in the middle. 0 of none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len() / 2, sorted.len() % 2) {
        (0, 0) => 0.0,
        (middle, 0) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        (middle, _) => sorted[middle],
    }
}

/// The value below which this share of the values lies. 0 of none.
#[must_use]
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let at = ((sorted.len() as f64) * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// One result: the two raw figures, kept with the ratio until the end of the report.
#[derive(Debug)]
pub struct Ratio {
    name: &'static str,
    raw: String,
    figure: f64,
}

impl Ratio {
    /// `raw` says both figures and how the ratio is made of them.
    #[must_use]
    pub fn new(name: &'static str, raw: String, figure: f64) -> Self {
        Self { name, raw, figure }
    }
}

/// Ends a report.
pub fn print_ratios(ratios: &[Ratio]) {
    println!("\nRaw figures (a ratio above 1: better than the peer, or within the budget)");
    for ratio in ratios {
        let verdict = if ratio.figure >= 1.0 { "met" } else { "missed" };
        println!("  {}: {}: {verdict}", ratio.name, ratio.raw);
    }
    println!();
    for ratio in ratios {
        println!("RATIO {} {:.2}", ratio.name, ratio.figure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles_and_tails() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).abs() < 1e-9);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((quantile(&hundred, 0.99) - 99.0).abs() < 1e-9);
        assert!((quantile(&hundred, 0.5) - 50.0).abs() < 1e-9);
        assert!((quantile(&[7.0], 0.99) - 7.0).abs() < 1e-9);
    }
}
