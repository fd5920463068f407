package record

import "fmt"

// Reason is why something in a recording is a [Damage].
type Reason string

// The reasons.
const (
	// Broken: what stands there is no frame, no index and no footer.
	Broken Reason = "broken"
	// Torn: the file ends in the middle of a frame or of its footer.
	Torn Reason = "torn"
	// Unfinished: the file ends without a footer, since whoever wrote it was stopped.
	Unfinished Reason = "unfinished"
	// Checksum: a frame is not what its index says, by its checksum.
	Checksum Reason = "checksum"
	// Lying: a frame is whole, but its lines are not what they or its index say.
	Lying Reason = "lying"
	// Foreign: a frame of another segment.
	Foreign Reason = "foreign"
	// Repeated: a frame that came before, or that belongs before the one before it.
	Repeated Reason = "repeated"
	// Missing: frames are missing here, or the segment of a cursor is.
	Missing Reason = "missing"
	// OtherVersion: it was written by another version of the format.
	OtherVersion Reason = "version"
	// ClockBack: the receive time of the entry that follows is below that of the one before.
	// Nothing is missing.
	ClockBack Reason = "clock"
	// NoSegment: nothing in the file says what it is a recording of.
	NoSegment Reason = "no segment"
	// BadFooter: a footer does not fit what comes before it. Only [Verify] looks.
	BadFooter Reason = "footer"
)

// Damage is what is wrong at one place of a recording. All that is whole before it and behind
// it is read. It is safe to keep.
type Damage struct {
	Path string
	// Offset is where in the file it begins, Length how many bytes are passed over. That is 0
	// where nothing is.
	Offset, Length int64
	Reason         Reason
}

// Error says what, where and how much.
func (d *Damage) Error() string {
	return fmt.Sprintf("%s: damaged at byte %d, for %d bytes: %s", d.Path, d.Offset, d.Length, d.Reason)
}
