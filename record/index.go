package record

import (
	"errors"
	"hash/crc32"

	"github.com/tickstorm/tickstorm"
)

// This file is the index that stands before each frame.

// segmentID is what all frames of a segment have in common, and no others.
type segmentID struct {
	market   tickstorm.Market
	random   uint64
	started  int64  // in nanoseconds since 1970
	sequence uint64 // of the segment in its folder
}

func (id *segmentID) name() string { return segmentName(id.market, id.started, id.sequence) }

// span is a range of times in nanoseconds since 1970, both ends included. It is empty if both
// are zero.
type span struct{ first, last int64 }

func (s *span) add(t int64) {
	if *s == (span{}) {
		*s = span{t, t}
		return
	}
	s.first, s.last = min(s.first, t), max(s.last, t)
}

func (s *span) join(t span) {
	if t != (span{}) {
		s.add(t.first)
		s.add(t.last)
	}
}

// channelCount is how many elements of a channel there are; "" stands for what is of none, and
// for the channels that had no room.
type channelCount struct {
	name  string
	count uint64
}

// count adds elements to a channel's.
func count(list []channelCount, name string, n uint64) []channelCount {
	for i := range list {
		if list[i].name == name {
			list[i].count += n
			return list
		}
	}
	if name != "" && (len(list) >= maxChannels-1 || len(name) > maxName) { // the last is for ""
		return count(list, "", n)
	}
	return append(list, channelCount{name, n})
}

// The kinds of frames.
const (
	headerFrame = iota
	dataFrame
)

// index is what an index says.
type index struct {
	segmentID
	kind     uint8
	raw      int    // bytes of lines in the frame
	packed   int    // bytes of the frame itself
	sum      uint32 // CRC32C of the frame
	frame    uint64 // number of the frame in its segment, from 0, the header's
	line     uint64 // number of the first line in its segment
	messages uint32
	controls uint32
	received span
	event    span
	channels []channelCount
}

// lines is how many lines the frame has, its header not counted.
func (x *index) lines() uint64 { return uint64(x.messages) + uint64(x.controls) }

// addMessage takes note of a message in the frame.
func (x *index) addMessage(split *tickstorm.Splitter, received int64, msg []byte) {
	x.messages++
	x.received.add(received)
	for split.Reset(msg); split.Next(); {
		e := split.Element()
		x.channels = count(x.channels, e.Channel, 1)
		if t := EventTime(e.Kind, msg[e.Start:e.End]); t != 0 {
			x.event.add(t)
		}
	}
}

func (x *index) addControl(received int64) {
	x.controls++
	x.received.add(received)
}

// Where in an index the fields stand that come before the names.
const (
	atIndexVersion  = skippableHead + len(indexMark)
	atIndexKind     = atIndexVersion + 1
	atIndexChannels = atIndexKind + 1
	atIndexRaw      = atIndexChannels + 2
	atIndexPacked   = atIndexRaw + 4
	atIndexSum      = atIndexPacked + 4
	atIndexRandom   = atIndexSum + 4
	atIndexStarted  = atIndexRandom + 8
	atIndexSegment  = atIndexStarted + 8
	atIndexFrame    = atIndexSegment + 8
	atIndexLine     = atIndexFrame + 8
	atIndexMessages = atIndexLine + 8
	atIndexControls = atIndexMessages + 4
	atIndexReceived = atIndexControls + 4
	atIndexEvent    = atIndexReceived + 16
	atIndexNames    = atIndexEvent + 16
	minIndex        = atIndexNames + 1 + 4
)

// appendTo appends the index to dst as a skippable frame.
func (x *index) appendTo(dst []byte) []byte {
	at := len(dst)
	dst = le.AppendUint32(dst, skippableMagic)
	dst = le.AppendUint32(dst, 0) // the length
	dst = append(dst, indexMark...)
	dst = append(dst, Version, x.kind)
	dst = le.AppendUint16(dst, uint16(len(x.channels)))
	dst = le.AppendUint32(dst, uint32(x.raw))
	dst = le.AppendUint32(dst, uint32(x.packed))
	dst = le.AppendUint32(dst, x.sum)
	dst = le.AppendUint64(dst, x.random)
	dst = le.AppendUint64(dst, uint64(x.started))
	dst = le.AppendUint64(dst, x.sequence)
	dst = le.AppendUint64(dst, x.frame)
	dst = le.AppendUint64(dst, x.line)
	dst = le.AppendUint32(dst, x.messages)
	dst = le.AppendUint32(dst, x.controls)
	dst = appendSpan(dst, x.received)
	dst = appendSpan(dst, x.event)
	dst = appendText(dst, string(x.market))
	for _, c := range x.channels {
		dst = appendText(dst, c.name)
		dst = le.AppendUint32(dst, uint32(c.count))
	}
	le.PutUint32(dst[at+4:], uint32(len(dst)-at-skippableHead+4))
	return le.AppendUint32(dst, crc32.Checksum(dst[at:], castagnoli))
}

func appendSpan(dst []byte, s span) []byte {
	return le.AppendUint64(le.AppendUint64(dst, uint64(s.first)), uint64(s.last))
}

func appendText(dst []byte, s string) []byte { return append(append(dst, byte(len(s))), s...) }

var (
	errNoIndex = errors.New("no index")
	errVersion = errors.New("the index is of another version")
)

// parseIndex takes an index from the beginning of b and says how long it is. It keeps nothing
// of b.
func parseIndex(b []byte) (x index, n int, err error) {
	if len(b) < minIndex || le.Uint32(b) != skippableMagic || string(b[skippableHead:atIndexVersion]) != indexMark {
		return index{}, 0, errNoIndex
	}
	size := le.Uint32(b[4:])
	if size > maxIndex-skippableHead || int(size) < minIndex-skippableHead || len(b) < skippableHead+int(size) {
		return index{}, 0, errNoIndex
	}
	n = skippableHead + int(size)
	b = b[:n]
	if crc32.Checksum(b[:n-4], castagnoli) != le.Uint32(b[n-4:]) {
		return index{}, 0, errNoIndex
	}
	if b[atIndexVersion] != Version {
		return index{}, 0, errVersion
	}
	x = index{
		segmentID: segmentID{
			random: le.Uint64(b[atIndexRandom:]), started: int64(le.Uint64(b[atIndexStarted:])), sequence: le.Uint64(b[atIndexSegment:]),
		},
		kind: b[atIndexKind], sum: le.Uint32(b[atIndexSum:]),
		frame: le.Uint64(b[atIndexFrame:]), line: le.Uint64(b[atIndexLine:]),
		messages: le.Uint32(b[atIndexMessages:]), controls: le.Uint32(b[atIndexControls:]),
		received: parseSpan(b[atIndexReceived:]), event: parseSpan(b[atIndexEvent:]),
	}
	raw, packed := le.Uint32(b[atIndexRaw:]), le.Uint32(b[atIndexPacked:])
	if x.kind > dataFrame || raw > maxRaw || packed > maxPacked || packed == 0 {
		return index{}, 0, errNoIndex
	}
	x.raw, x.packed = int(raw), int(packed)

	rest := b[atIndexNames : n-4]
	market, rest, ok := cutText(rest)
	if !ok || !goodMarket(market) {
		return index{}, 0, errNoIndex
	}
	x.market = tickstorm.Market(market)
	for range le.Uint16(b[atIndexChannels:]) {
		var name string
		if name, rest, ok = cutText(rest); !ok || len(rest) < 4 {
			return index{}, 0, errNoIndex
		}
		x.channels = append(x.channels, channelCount{name, uint64(le.Uint32(rest))})
		rest = rest[4:]
	}
	if len(rest) != 0 {
		return index{}, 0, errNoIndex
	}
	return x, n, nil
}

func parseSpan(b []byte) span { return span{int64(le.Uint64(b)), int64(le.Uint64(b[8:]))} }

func cutText(b []byte) (s string, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", nil, false
	}
	return string(b[1 : 1+b[0]]), b[1+int(b[0]):], true
}
