package record

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"hash/crc32"

	"github.com/tickstorm/tickstorm"
)

// This file is what ends a finished segment: a summary with a table of its frames, and the seek
// table of the zstd seekable format.

// tableEntry is a frame in the summary's table.
type tableEntry struct {
	offset   uint64 // of its index
	received span
	event    span
}

// summary is what a summary says.
type summary struct {
	segmentID
	frames   uint32 // the header's too
	messages uint64
	controls uint64
	raw      uint64 // bytes of lines, the header's too
	packed   uint64 // bytes of the file before the summary
	received span
	event    span
	hash     [sha256.Size]byte // of those
	channels []channelCount
}

// Where in a summary the fields stand that come before the names.
const (
	atSummaryVersion  = skippableHead + len(summaryMark)
	atSummaryChannels = atSummaryVersion + 2 // a byte is free
	atSummaryFrames   = atSummaryChannels + 2
	atSummaryRandom   = atSummaryFrames + 4
	atSummaryStarted  = atSummaryRandom + 8
	atSummarySegment  = atSummaryStarted + 8
	atSummaryMessages = atSummarySegment + 8
	atSummaryControls = atSummaryMessages + 8
	atSummaryRaw      = atSummaryControls + 8
	atSummaryPacked   = atSummaryRaw + 8
	atSummaryReceived = atSummaryPacked + 8
	atSummaryEvent    = atSummaryReceived + 16
	atSummaryHash     = atSummaryEvent + 16
	atSummaryNames    = atSummaryHash + sha256.Size
	minSummary        = atSummaryNames + 1 + 4

	tableEntrySize = 8 + 16 + 16
	seekEntrySize  = 4 + 4
	seekFooterSize = 4 + 1 + 4
)

// footer gathers what ends a segment while that is written.
type footer struct {
	summary
	size  int64 // bytes of the file
	sum   hash.Hash
	table []byte
	seek  []byte
}

func newFooter(id segmentID) footer {
	return footer{summary: summary{segmentID: id}, sum: sha256.New()}
}

// wrote takes note of what was written.
func (f *footer) wrote(b []byte) {
	f.size += int64(len(b))
	f.sum.Write(b)
}

// add takes note of a frame, which was written last, behind an index of this length.
func (f *footer) add(x *index, length int) {
	f.table = le.AppendUint64(f.table, uint64(f.size)-uint64(length+x.packed))
	f.table = appendSpan(appendSpan(f.table, x.received), x.event)
	f.seek = appendSeek(f.seek, length, 0)
	f.seek = appendSeek(f.seek, x.packed, x.raw)
	f.summary.add(x)
}

func (s *summary) add(x *index) {
	s.frames++
	s.messages += uint64(x.messages)
	s.controls += uint64(x.controls)
	s.raw += uint64(x.raw)
	s.received.join(x.received)
	s.event.join(x.event)
	for _, c := range x.channels {
		s.channels = count(s.channels, c.name, c.count)
	}
}

func appendSeek(dst []byte, packed, raw int) []byte {
	return le.AppendUint32(le.AppendUint32(dst, uint32(packed)), uint32(raw))
}

// writeTo appends the footer to b.
func (f *footer) writeTo(b *bytes.Buffer) {
	f.packed = uint64(f.size)
	f.sum.Sum(f.hash[:0])

	dst := b.AvailableBuffer()
	dst = le.AppendUint32(dst, skippableMagic)
	dst = le.AppendUint32(dst, 0) // the length
	dst = append(dst, summaryMark...)
	dst = append(dst, Version, 0)
	dst = le.AppendUint16(dst, uint16(len(f.channels)))
	dst = le.AppendUint32(dst, f.frames)
	dst = le.AppendUint64(dst, f.random)
	dst = le.AppendUint64(dst, uint64(f.started))
	dst = le.AppendUint64(dst, f.sequence)
	dst = le.AppendUint64(dst, f.messages)
	dst = le.AppendUint64(dst, f.controls)
	dst = le.AppendUint64(dst, f.raw)
	dst = le.AppendUint64(dst, f.packed)
	dst = appendSpan(appendSpan(dst, f.received), f.event)
	dst = append(dst, f.hash[:]...)
	dst = appendText(dst, string(f.market))
	for _, c := range f.channels {
		dst = le.AppendUint64(appendText(dst, c.name), c.count)
	}
	dst = append(dst, f.table...)
	le.PutUint32(dst[4:], uint32(len(dst)-skippableHead+4))
	dst = le.AppendUint32(dst, crc32.Checksum(dst, castagnoli))

	f.seek = appendSeek(f.seek, len(dst), 0)
	entries := len(f.seek) / seekEntrySize
	dst = le.AppendUint32(dst, seekTableMagic)
	dst = le.AppendUint32(dst, uint32(len(f.seek)+seekFooterSize))
	dst = append(dst, f.seek...)
	dst = le.AppendUint32(dst, uint32(entries))
	dst = append(dst, 0) // no checksums
	dst = le.AppendUint32(dst, seekableMagic)
	b.Write(dst)
}

var errNoSummary = errors.New("no summary")

// parseSummary takes a summary from the beginning of b. table is part of b.
func parseSummary(b []byte) (s summary, table []byte, n int, err error) {
	if len(b) < minSummary || le.Uint32(b) != skippableMagic || string(b[skippableHead:atSummaryVersion]) != summaryMark {
		return summary{}, nil, 0, errNoSummary
	}
	size := int64(le.Uint32(b[4:]))
	if size < int64(minSummary-skippableHead) || size > int64(len(b)-skippableHead) {
		return summary{}, nil, 0, errNoSummary
	}
	n = skippableHead + int(size)
	b = b[:n]
	if crc32.Checksum(b[:n-4], castagnoli) != le.Uint32(b[n-4:]) {
		return summary{}, nil, 0, errNoSummary
	}
	if b[atSummaryVersion] != Version {
		return summary{}, nil, 0, errVersion
	}
	s = summary{
		segmentID: segmentID{
			random: le.Uint64(b[atSummaryRandom:]), started: int64(le.Uint64(b[atSummaryStarted:])), sequence: le.Uint64(b[atSummarySegment:]),
		},
		frames:   le.Uint32(b[atSummaryFrames:]),
		messages: le.Uint64(b[atSummaryMessages:]), controls: le.Uint64(b[atSummaryControls:]),
		raw: le.Uint64(b[atSummaryRaw:]), packed: le.Uint64(b[atSummaryPacked:]),
		received: parseSpan(b[atSummaryReceived:]), event: parseSpan(b[atSummaryEvent:]),
		hash: [sha256.Size]byte(b[atSummaryHash:]),
	}
	rest := b[atSummaryNames : n-4]
	market, rest, ok := cutText(rest)
	if !ok || !goodMarket(market) {
		return summary{}, nil, 0, errNoSummary
	}
	s.market = tickstorm.Market(market)
	for range le.Uint16(b[atSummaryChannels:]) {
		var name string
		if name, rest, ok = cutText(rest); !ok || len(rest) < 8 {
			return summary{}, nil, 0, errNoSummary
		}
		s.channels = append(s.channels, channelCount{name, le.Uint64(rest)})
		rest = rest[8:]
	}
	if uint64(len(rest)) != uint64(s.frames)*tableEntrySize {
		return summary{}, nil, 0, errNoSummary
	}
	return s, rest, n, nil
}

func tableAt(table []byte, i int) tableEntry {
	b := table[i*tableEntrySize:]
	return tableEntry{le.Uint64(b), parseSpan(b[8:]), parseSpan(b[24:])}
}
