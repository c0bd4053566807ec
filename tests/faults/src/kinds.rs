//! The kinds of damage.

/// A block of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that is written to.
    Newest,
    /// One that is neither the first nor the newest, where there is one.
    Middle,
    /// The first.
    First,
}

/// A part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its length.
    Length,
    /// Its sequence.
    Sequence,
    /// Its time.
    Time,
    /// The length of its subject.
    SubjectLength,
    /// Its subject.
    Subject,
    /// Its payload.
    Payload,
    /// Its checksum.
    Checksum,
    /// Any byte of the block.
    Anywhere,
}

/// The subject of a message that is no event, or no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One on which there are others.
    Known,
    /// One of the stream, but of no area of the district, or of no case.
    Unknown,
    /// That of the district itself, on which the statements of the log are.
    District,
}

/// A folder of the installation that is put back on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// The broker's streams.
    Broker,
    /// Intake's watermark, checkpoints and hashes of the tree.
    Intake,
    /// The aggregator's views.
    Aggregator,
    /// The escalator's timers.
    Escalator,
}

impl Folder {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Broker,
        Self::Intake,
        Self::Aggregator,
        Self::Escalator,
    ];
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing: the ledger has to agree then.
    Nothing,
    /// The last records of a block are cut off.
    CutRecords(Which, usize),
    /// The last bytes of a block are cut off.
    CutBytes(Which, usize),
    /// One bit is flipped.
    FlipBit(Which, Part),
    /// 4,096 bytes become zeros.
    ZeroPage(Which),
    /// Bytes that are no record are appended to a block.
    AppendBytes(Which, usize),
    /// A block's file is removed.
    RemoveBlock(Which),
    /// A block is replaced with the copy of it that was made earlier.
    OlderBlock,
    /// A block is replaced with the one before it.
    RepeatBlock,
    /// The index of the blocks is removed.
    RemoveIndex,
    /// The stream's configuration is removed.
    RemoveConfiguration,
    /// The folder of the stream's blocks is removed.
    RemoveBlocks,
    /// The stream's folder is removed.
    RemoveStream,
    /// The stream's folder and all views are removed.
    RemoveStreamAndViews,
    /// The stream's folder is replaced with the copy of it that was made earlier.
    OlderStream,
    /// All streams are replaced with the copies of them that were made earlier.
    OlderBroker,
    /// A bit of an event's payload is flipped, and the record's checksum made right again.
    ChangeEvent(Which),
    /// A message of random bytes is published on a subject of the stream.
    Garbage(Subject, Headers),
    /// A message of the stream is published once more, as it is.
    Republish(Headers),
    /// A statement of the log is published once more, as it is.
    RepublishStatement(Headers),
    /// A folder is replaced with the copy of it that was made earlier.
    OlderFolder(Folder),
    /// All folders but one are replaced with their copies.
    AllOlderBut(Folder),
    /// All folders are replaced with their copies, reports are filed on these, and then one folder
    /// is put back as it was. The broker's is not meant: which log is the right one would be open.
    TwoHistories(Folder),
}

/// Whether a message has the headers of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    /// It has an id.
    Id,
    /// It has none.
    None,
}

impl Damage {
    /// Whether it replaces something with an earlier copy.
    #[must_use]
    pub fn needs_copy(self) -> bool {
        matches!(
            self,
            Self::OlderBlock | Self::OlderStream | Self::OlderBroker
        )
    }

    /// Whether it exchanges folders of the installation, so that copies of all have to be there.
    #[must_use]
    pub fn needs_folders(self) -> bool {
        matches!(
            self,
            Self::OlderFolder(_) | Self::AllOlderBut(_) | Self::TwoHistories(_)
        )
    }

    /// The folders that it leaves older than they were.
    #[must_use]
    pub fn older_folders(self) -> Vec<Folder> {
        let but = |kept| {
            Folder::ALL
                .into_iter()
                .filter(move |folder| *folder != kept)
        };
        match self {
            Self::OlderFolder(older) => vec![older],
            Self::AllOlderBut(kept) | Self::TwoHistories(kept) => but(kept).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the views are as they were, so that they know what was lost.
    #[must_use]
    pub fn leaves_views(self) -> bool {
        let older = self.older_folders();
        self != Self::RemoveStreamAndViews && !older.contains(&Folder::Aggregator)
    }

    /// Whether it is done through the broker rather than to its files.
    #[must_use]
    pub fn needs_broker(self) -> bool {
        matches!(
            self,
            Self::Garbage(..) | Self::Republish(..) | Self::RepublishStatement(..)
        )
    }

    /// The kind of damage, without its particulars.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::CutRecords(..) => "records cut",
            Self::CutBytes(..) => "bytes cut",
            Self::FlipBit(..) => "bit flipped",
            Self::ZeroPage(..) => "page zeroed",
            Self::AppendBytes(..) => "bytes appended",
            Self::RemoveBlock(..) => "block removed",
            Self::OlderBlock => "older block",
            Self::RepeatBlock => "block repeated",
            Self::RemoveIndex => "index removed",
            Self::RemoveConfiguration => "configuration removed",
            Self::RemoveBlocks => "blocks removed",
            Self::RemoveStream => "stream removed",
            Self::RemoveStreamAndViews => "stream and views removed",
            Self::OlderStream => "older stream",
            Self::OlderBroker => "older broker",
            Self::ChangeEvent(..) => "event changed",
            Self::Garbage(..) => "garbage",
            Self::Republish(..) => "published again",
            Self::RepublishStatement(..) => "statement published again",
            Self::OlderFolder(_) => "older folder",
            Self::AllOlderBut(_) => "all folders older but one",
            Self::TwoHistories(_) => "two histories",
        }
    }
}
