//! What is in a document in Markdown: blocks of code, links, headings.

/// A fenced block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// What stands behind the opening fence.
    pub language: &'a str,
    /// Its lines.
    pub text: &'a str,
    /// The last line above it that is not empty; a fence if that is another block.
    pub above: &'a str,
}

/// How a fence begins.
pub const FENCE: &str = "```";

/// All fenced blocks, in their order.
pub fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut above = "";
    let mut rest = document;
    while let Some((line, behind)) = rest.split_once('\n') {
        rest = behind;
        if let Some(language) = line.strip_prefix(FENCE) {
            let lines = rest.split_inclusive('\n');
            let lines = lines.take_while(|line| line.trim_end() != FENCE);
            let (text, behind) = rest.split_at(lines.map(str::len).sum());
            blocks.push(Block {
                language,
                text,
                above,
            });
            above = FENCE;
            rest = behind.split_once('\n').map_or("", |(_, behind)| behind);
        } else if !line.trim().is_empty() {
            above = line;
        }
    }
    blocks
}

/// All lines that are not in a fenced block.
pub fn prose(document: &str) -> impl Iterator<Item = &str> {
    let mut is_in_block = false;
    document.lines().filter(move |line| {
        let is_fence = line.starts_with(FENCE);
        is_in_block ^= is_fence;
        !is_in_block && !is_fence
    })
}

/// Where the links of a line lead.
pub fn links(line: &str) -> impl Iterator<Item = &str> {
    let behind = line.split("](").skip(1);
    behind.filter_map(|behind| behind.split_once(')').map(|(link, _)| link))
}

/// What leads to the headings, behind the `#` of a link.
pub fn anchors(document: &str) -> impl Iterator<Item = String> {
    let headings = prose(document).filter(|line| line.starts_with('#'));
    headings.map(|heading| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c })
            .collect::<String>()
    })
}
