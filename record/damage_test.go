package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// part is a part of a finished segment: the index of a frame, a frame, the summary or the seek
// table.
type part struct {
	from, to int
	frame    int // -1 the header, 0 the first with lines; of the footer one more than there are
	index    bool
}

// partsOf takes a segment apart by its seek table, as a reader of the zstd seekable format does.
func partsOf(t testing.TB, b []byte) (parts []part) {
	t.Helper()
	require.Equal(t, uint32(seekableMagic), binary.LittleEndian.Uint32(b[len(b)-4:]))
	n := int(binary.LittleEndian.Uint32(b[len(b)-9:]))
	table := len(b) - 9 - 8*n
	require.Equal(t, uint32(seekTableMagic), binary.LittleEndian.Uint32(b[table-8:]))
	require.EqualValues(t, 8*n+9, binary.LittleEndian.Uint32(b[table-4:]))
	at := 0
	for i := range n {
		size := int(binary.LittleEndian.Uint32(b[table+8*i:]))
		parts = append(parts, part{at, at + size, i/2 - 1, i%2 == 0 && i < n-1})
		at += size
	}
	require.Equal(t, table-8, at)
	return append(parts, part{at, len(b), (n - 1) / 2, false})
}

// What a reader of the seekable format needs: each entry is a frame of these lengths.
func TestSeekTable(t *testing.T) {
	b := testSegment(t, testHeader(), 3)
	table := b[len(b)-9-8*9:]
	text := ""
	for i, p := range partsOf(t, b)[:9] {
		one := unpack(t, b[p.from:p.to])
		require.EqualValues(t, len(one), binary.LittleEndian.Uint32(table[8*i+4:]))
		text += one
	}
	require.Equal(t, unpack(t, b), text)
}

// read reads a file of these bytes to the end.
func read(t testing.TB, b []byte) (told []string, damage []*Damage) {
	t.Helper()
	told, damage, err := tryRead(b, put(t, t.TempDir(), "a"+Suffix, b))
	require.NoError(t, err)
	return told, damage
}

func tryRead(b []byte, path string) (told []string, damage []*Damage, err error) {
	r, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	for e, err := range r.All(context.Background()) {
		if err != nil {
			return nil, nil, err
		}
		if d := e.Damage; d != nil {
			if d.Path != path || d.Offset < 0 || d.Length < 0 || d.Offset+d.Length > int64(len(b)) {
				return nil, nil, fmt.Errorf("damage out of the file: %w", d)
			}
			damage = append(damage, d)
			continue
		}
		told = append(told, tell(e))
	}
	return told, damage, nil
}

func reasons(damage []*Damage) (list []Reason) {
	for _, d := range damage {
		list = append(list, d.Reason)
	}
	return list
}

// A crash may leave any part of what was written last.
func TestReaderCutAnywhere(t *testing.T) {
	b := testSegment(t, testHeader(), 4)
	parts := partsOf(t, b)
	folder := t.TempDir()
	for size := parts[4].from; size < len(b); size++ {
		path := put(t, folder, "a"+Suffix, b[:size])
		got, damage, err := tryRead(b[:size], path)
		require.NoError(t, err)
		var whole []int
		edge := false
		for _, p := range parts {
			edge = edge || p.from == size
			if p.frame >= 0 && p.frame < 4 && !p.index && p.to <= size {
				whole = append(whole, p.frame)
			}
		}
		require.Equal(t, lines(whole...), got, size)
		switch last := parts[len(parts)-1].from; {
		case size == last: // behind the summary
			require.Empty(t, damage, size)
		case edge && slices.ContainsFunc(parts, func(p part) bool { return p.index && p.from == size }) || size == parts[len(parts)-2].from:
			require.Equal(t, []Reason{Unfinished}, reasons(damage), size)
		default:
			require.Equal(t, []Reason{Torn}, reasons(damage), size)
			require.EqualValues(t, size, damage[0].Offset+damage[0].Length)
		}
	}
}

// A flipped byte costs at most the frame that it is in, and is told of.
func TestReaderFlipAnywhere(t *testing.T) {
	b := testSegment(t, testHeader(), 3)
	folder := t.TempDir()
	for _, p := range partsOf(t, b) {
		for i := p.from; i < p.to; i++ {
			c := bytes.Clone(b)
			c[i] ^= 1 << (i % 8)
			got, damage, err := tryRead(c, put(t, folder, "a"+Suffix, c))
			require.NoError(t, err)
			frames := []int{0, 1, 2}
			if p.frame >= 0 && p.frame < 3 && !p.index {
				frames = slices.Delete(frames, p.frame, p.frame+1)
			}
			if len(got) != 3*4 { // else the byte meant nothing: zstd has bits that are free
				require.Equal(t, lines(frames...), got, "byte %d of %+v", i-p.from, p)
			}
			require.Subset(t, lines(0, 1, 2), got)
			if p.index || p.frame >= 0 && p.to < len(b) {
				require.NotEmpty(t, damage, "byte %d of %+v", i-p.from, p)
				require.LessOrEqual(t, damage[0].Offset, int64(i))
				if p.index || len(got) < 3*4 { // else the frame was saved behind its index
					require.Greater(t, damage[0].Offset+damage[0].Length, int64(i))
				}
			}
		}
	}
}

// forge makes a frame with an index of any content, whose checksums are right.
func forge(t testing.TB, change func(*index), text string) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(true))
	require.NoError(t, err)
	packed := enc.EncodeAll([]byte(text), nil)
	x := index{kind: dataFrame, raw: len(text), packed: len(packed), sum: crc32.Checksum(packed, castagnoli)}
	change(&x)
	return append(x.appendTo(nil), packed...)
}

// inSecond is a segment with something else in the place of its second frame, whose index is
// given.
func inSecond(t testing.TB, b []byte, make func(x index) []byte) []byte {
	t.Helper()
	parts := partsOf(t, b)
	x, _, err := parseIndex(b[parts[4].from:])
	require.NoError(t, err)
	return slices.Concat(b[:parts[4].from], make(x), b[parts[5].to:])
}

func TestReaderLies(t *testing.T) {
	b := testSegment(t, testHeader(), 3)
	parts := partsOf(t, b)
	second := unpack(t, b[parts[4].from:parts[5].to])
	packed := b[parts[5].from:parts[5].to]
	other := testHeader()
	foreign := testSegment(t, other, 3)
	withText := func(text string) func(x index) []byte {
		return func(x index) []byte {
			return forge(t, func(y *index) { x.raw, x.packed, x.sum = y.raw, y.packed, y.sum; *y = x }, text)
		}
	}
	changed := func(change func(*index)) func(x index) []byte {
		return func(x index) []byte { change(&x); return append(x.appendTo(nil), packed...) }
	}
	firstLines := strings.SplitAfter(second, "\n")
	for _, c := range []struct {
		name   string
		file   []byte
		want   []string
		reason []Reason
	}{
		{"compressed length too short", inSecond(t, b, changed(func(x *index) { x.packed -= 3 })), lines(0, 1, 2), []Reason{Checksum}},
		{"compressed length too long", inSecond(t, b, changed(func(x *index) { x.packed += 3 })), lines(0, 1, 2), []Reason{Checksum}},
		{"compressed length beyond the file", inSecond(t, b, changed(func(x *index) { x.packed = maxPacked })), lines(0, 1, 2), []Reason{Torn}},
		{"raw length too short", inSecond(t, b, changed(func(x *index) { x.raw-- })), lines(0, 1, 2), []Reason{Lying}},
		{"raw length too long", inSecond(t, b, changed(func(x *index) { x.raw = maxRaw })), lines(0, 1, 2), []Reason{Lying}},
		{"a checksum", inSecond(t, b, changed(func(x *index) { x.sum++ })), lines(0, 1, 2), []Reason{Checksum}},
		{"too many lines", inSecond(t, b, changed(func(x *index) { x.messages-- })), lines(0, 1, 2), []Reason{Lying}},
		{"too few lines", inSecond(t, b, withText(firstLines[0])), slices.Concat(lines(0), lines(1)[:1], lines(2)), []Reason{Lying}},
		{"a line's length", inSecond(t, b, withText(firstLines[0]+strings.Replace(firstLines[1], " 1", " 2", 1))), slices.Concat(lines(0), lines(1)[:1], lines(2)), []Reason{Lying}},
		{"a control", inSecond(t, b, withText(firstLines[0]+firstLines[1]+firstLines[2]+"#{\"c\":1}\n")), slices.Concat(lines(0), lines(1)[:3], lines(2)), []Reason{Lying}},
		{"frame of another file", inSecond(t, b, func(index) []byte { p := partsOf(t, foreign); return foreign[p[4].from:p[5].to] }), lines(0, 2), []Reason{Foreign, Missing}},
		{"another file's frame inserted", inSecond(t, b, func(index) []byte {
			p := partsOf(t, foreign)
			return slices.Concat(b[parts[4].from:parts[5].to], foreign[p[4].from:p[5].to])
		}), lines(0, 1, 2), []Reason{Foreign}},
		{"another file's frame at the front", slices.Concat(foreign[:partsOf(t, foreign)[1].to], b), lines(0, 1, 2), []Reason{Foreign}},
		{"another file behind", slices.Concat(b, foreign), lines(0, 1, 2), nil},
		{"a frame twice", inSecond(t, b, func(index) []byte {
			return slices.Concat(b[parts[4].from:parts[5].to], b[parts[4].from:parts[5].to])
		}), lines(0, 1, 2), []Reason{Repeated}},
		{"a frame gone", inSecond(t, b, func(index) []byte { return nil }), lines(0, 2), []Reason{Missing}},
		{"numbers that are too high", inSecond(t, b, changed(func(x *index) { x.frame += 1000; x.line += 1000 })), lines(0, 1, 2), []Reason{Lying}},
		{"a later frame before", inSecond(t, b, func(index) []byte {
			return slices.Concat(b[parts[6].from:parts[7].to], b[parts[4].from:parts[5].to])
		}), lines(0, 1, 2), []Reason{Lying}},
		{"another version", inSecond(t, b, func(x index) []byte {
			y := x.appendTo(nil)
			y[atIndexVersion] = 2
			le.PutUint32(y[len(y)-4:], crc32.Checksum(y[:len(y)-4], castagnoli))
			return append(y, packed...)
		}), lines(0, 1, 2), []Reason{OtherVersion}},
		{"garbage", inSecond(t, b, func(index) []byte { return bytes.Repeat([]byte("\x89TSR\xFFI\r\n\x28\xB5\x2F\xFD"), 1000) }), lines(0, 2), []Reason{Broken}},
		{"garbage behind", append(bytes.Clone(b), "garbage"...), lines(0, 1, 2), []Reason{Broken}},
		{"footer of another file", slices.Concat(b[:parts[8].from], foreign[partsOf(t, foreign)[8].from:]), lines(0, 1, 2), []Reason{Broken}},
		{"no beginning", b[parts[2].from:], lines(0, 1, 2), []Reason{Missing}},
		{"no beginning, not even of an index", b[parts[0].from+1:], lines(0, 1, 2), []Reason{Broken}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, damage := read(t, c.file)
			require.Equal(t, c.want, got)
			if c.reason == nil {
				require.NotEmpty(t, damage)
				for _, r := range reasons(damage) {
					require.Contains(t, []Reason{Foreign, Broken}, r)
				}
				return
			}
			require.Equal(t, c.reason, reasons(damage))
		})
	}
}

// A frame that is passed over unread is looked into once it turns out that its length is a lie, or
// that what follows it is no frame.
func TestReaderLiesUnread(t *testing.T) {
	b := testSegment(t, testHeader(), 3)
	parts := partsOf(t, b)
	for _, c := range []struct {
		name   string
		change int
		behind []byte
		want   []string
		// resumed is what comes of it behind a cursor.
		resumed []string
	}{
		{"too long", 50, nil, slices.Concat([]string{"damage broken"}, lines(1)), nil},
		{"too short", -50, nil, slices.Concat([]string{"damage broken"}, lines(1)), nil},
		{"true, and garbage behind", 0, []byte("garbage"), []string{"damage broken"}, []string{"damage broken"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := inSecond(t, b, func(x index) []byte {
				x.packed += c.change
				x.channels, x.messages, x.controls = nil, x.messages+x.controls, 0 // so that it is passed over
				return slices.Concat(x.appendTo(nil), b[parts[5].from:parts[5].to], c.behind)
			})
			path := put(t, t.TempDir(), "a"+Suffix, file)
			r := open(t, path)
			r.Filter(Filter{Channels: []string{"T"}})
			require.Equal(t, slices.Concat(lines(0), c.want, lines(2)), readAll(t, r))

			r = open(t, path) // before a cursor damage is told if it may reach beyond
			h := testHeader()
			require.NoError(t, r.Resume(Cursor{h.Name(), 8, 0}))
			require.Equal(t, append(c.resumed, lines(2)...), readAll(t, r))
		})
	}
}

// A frame that decompresses to more than it may is not decompressed.
func TestReaderBomb(t *testing.T) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	var bomb bytes.Buffer // of a length that it does not tell
	enc.Reset(&bomb)
	_, err = io.CopyN(enc, zeros{}, 256<<20)
	require.NoError(t, err)
	require.NoError(t, enc.Close())
	for _, raw := range []int{100, frameRaw, maxRaw} {
		file := inSecond(t, testSegment(t, testHeader(), 3), func(x index) []byte {
			x.raw, x.packed, x.sum = raw, bomb.Len(), crc32.Checksum(bomb.Bytes(), castagnoli)
			return append(x.appendTo(nil), bomb.Bytes()...)
		})
		r := open(t, put(t, t.TempDir(), "a"+Suffix, file))
		require.Equal(t, slices.Concat(lines(0), []string{"damage lying"}, lines(2)), readAll(t, r))
		require.LessOrEqual(t, cap(r.unpacker.packed), 1<<20)
		require.LessOrEqual(t, r.unpacker.total, int64(raw+1<<20))
	}
}

// countedReader counts the bytes that are read.
type countedReader struct {
	*bytes.Reader
	n int64
}

func (r *countedReader) ReadAt(b []byte, at int64) (int, error) {
	n, err := r.Reader.ReadAt(b, at)
	r.n += int64(n)
	return n, err
}

// What looks like the beginning of something over and over is not read to its end each time.
func TestReaderHostileHeads(t *testing.T) {
	for _, c := range []struct {
		name string
		head func(rest int) []byte
	}{
		{"summaries", func(rest int) []byte {
			return append(le.AppendUint32(le.AppendUint32(nil, skippableMagic), uint32(rest-skippableHead)), summaryMark...)
		}},
		{"frames", func(rest int) []byte { // of one block that is as long as can be
			return append(le.AppendUint32(nil, zstdMagic), 0xA0, 0, 0, 2, 0, 0xF8, 0xFF, 0x0F)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const size = 2 << 20
			var b []byte
			for len(b) < size {
				b = append(b, c.head(size-len(b))...)
			}
			u, err := newUnpacker()
			require.NoError(t, err)
			defer u.close()
			file := &countedReader{Reader: bytes.NewReader(b)}
			s := newSegmentReader(file, "a", int64(len(b)), u)
			for {
				_, err := s.next()
				if err == io.EOF {
					break
				}
				var d *Damage
				require.ErrorAs(t, err, &d)
			}
			looks := int64(size/len(c.head(size))) * maxIndex
			require.Less(t, file.n, 3*looks+20*size+maxFooter, "the square of its length would be %d", size*looks/maxIndex)
		})
	}
}

// Frames within frames, of which each is whole, cost no more.
func TestReaderHostileNest(t *testing.T) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true))
	require.NoError(t, err)
	nest, packed := []byte("?"), []byte(nil)
	for len(nest) < 32<<10 {
		packed = enc.EncodeAll(nest, packed[:0])
		check := packed[len(packed)-4:]
		frame := le.AppendUint32(append(le.AppendUint32(nil, zstdMagic), 0xA4), uint32(len(nest))) // one segment, a checksum, four bytes of length
		head := le.AppendUint32(nil, uint32(len(nest))<<3|1)                                       // the last block, as it is
		nest = slices.Concat(frame, head[:3], nest, check)
	}
	b := testSegment(t, testHeader(), 1)
	b = append(b[:partsOf(t, b)[2].from:partsOf(t, b)[2].from], bytes.Repeat(nest, 16)...)
	u, err := newUnpacker()
	require.NoError(t, err)
	defer u.close()
	s := newSegmentReader(bytes.NewReader(b), "a", int64(len(b)), u)
	for {
		_, err := s.next()
		if err == io.EOF {
			break
		}
		var d *Damage
		if err != nil {
			require.ErrorAs(t, err, &d)
		}
	}
	require.Less(t, u.total, int64(17*len(b)+maxFooter), "each within each would be %d", 16*len(nest)/16*len(nest)/2)
}

// However many frames are damaged, those that are whole are read: also where a recording says the same
// all the time, and is long though it is short.
func TestReaderMostlyDamaged(t *testing.T) {
	var b bytes.Buffer
	s, err := newSegmentWriter(&b, testHeader(), LevelFastest)
	require.NoError(t, err)
	const frames, whole = 150, 3
	random := rand.New(rand.NewPCG(1, 2))
	for range frames {
		for n := range 100 {
			word := fmt.Sprintf("%016x", random.Uint64())
			require.NoError(t, s.message(at(n), []byte(strings.Repeat(word, 640))))
		}
		require.NoError(t, s.flush())
	}
	require.NoError(t, s.finish())
	file := b.Bytes()
	require.Greater(t, s.footer.raw, uint64(50*len(file)))
	for _, p := range partsOf(t, file) {
		switch {
		case p.frame < 0 || p.frame >= frames:
		case p.index:
			file[p.from+20] ^= 1
		case p.frame < frames-whole:
			file[p.to-1] ^= 1
		}
	}
	got, damage := read(t, file)
	require.Len(t, got, whole*100)
	require.NotEmpty(t, damage)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// Files that are no recordings are told of, and others are read.
func TestReaderNoSegment(t *testing.T) {
	folder := t.TempDir()
	put(t, folder, "a"+Suffix, []byte("garbage"))
	put(t, folder, "b"+Suffix, nil)
	put(t, folder, "c"+Suffix, testSegment(t, testHeader(), 1))
	put(t, folder, "d"+PartSuffix, nil) // opened ahead
	require.Equal(t, append([]string{"damage no segment", "damage no segment"}, lines(0)...), readAll(t, open(t, folder)))

	r := open(t, folder)
	require.NoError(t, os.Mkdir(filepath.Join(folder, "d"), 0o700))
	_, err := Open(filepath.Join(folder, "e"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.RemoveAll(folder))
	_, err = r.Next(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A long message has a frame of its own, and what comes behind it is read.
func TestReaderLongMessage(t *testing.T) {
	var b bytes.Buffer
	s, err := newSegmentWriter(&b, testHeader(), LevelFastest)
	require.NoError(t, err)
	require.NoError(t, s.message(at(0), trade(0)))
	require.NoError(t, s.message(at(1), bytes.Repeat([]byte("[ ]\n"), 1<<20)))
	require.NoError(t, s.message(at(2), trade(2)))
	require.NoError(t, s.finish())
	got, damage := read(t, b.Bytes())
	require.Empty(t, damage)
	require.Equal(t, []string{"0 message at 0", "1 message at 1", "2 message at 2"}, got)
}
