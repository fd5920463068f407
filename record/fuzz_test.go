package record

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzReader reads any bytes as a segment, some frames of which it passes over: it ends, says of every byte range that it passes over
// where that is, and holds no more than the bytes can ask for.
func FuzzReader(f *testing.F) {
	b := testSegment(f, testHeader(), 2)
	parts := partsOf(f, b)
	f.Add(b, uint32(0), byte(0), byte(0))
	f.Add(b[:len(b)-1], uint32(0), byte(0), byte(0))
	f.Add(b, uint32(parts[2].from+40), byte(1), byte(0xFF))
	f.Add(b, uint32(parts[3].from+4), byte(1), byte(0xFF))
	f.Add(b[parts[3].from:], uint32(0), byte(0), byte(0))
	f.Add(append(bytes.Clone(b), b...), uint32(0), byte(0), byte(0))
	u, err := newUnpacker()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, b []byte, at uint32, mask, unread byte) {
		if len(b) == 0 {
			return
		}
		b = bytes.Clone(b)
		b[int(at)%len(b)] ^= mask
		seal(b)
		s := newSegmentReader(bytes.NewReader(b), "f", int64(len(b)), u)
		require.NoError(t, s.elect())
		end := int64(0)
		for i := range 2*len(b) + 10 {
			before := s.at
			fr, err := s.next()
			if err == nil && unread>>(i%8)&1 == 1 { // what it says is not looked at
				continue
			}
			if err == nil {
				var text []byte
				if text, err = s.open(&fr); err == nil {
					require.GreaterOrEqual(t, fr.from, end)
					require.Len(t, text, fr.raw)
					end = fr.end()
					continue
				}
			}
			if err == io.EOF {
				return
			}
			var d *Damage
			require.True(t, errors.As(err, &d), "%v", err)
			require.True(t, d.Offset >= 0 && d.Length >= 0 && d.Offset+d.Length <= int64(len(b)), "%v", d)
			require.GreaterOrEqual(t, s.at, min(before, end))
		}
		t.Fatal("it does not end")
	})
}

// seal makes the checksums of indices right, so that what they say is believed.
func seal(b []byte) {
	for i := 0; i+minIndex <= len(b); i++ {
		n := nextStart(b[i:])
		if n < 0 {
			return
		}
		if i += n; len(b)-i < minIndex || le.Uint32(b[i:]) != skippableMagic {
			continue
		}
		if size := skippableHead + int64(le.Uint32(b[i+4:])); size >= int64(minIndex) && size <= int64(len(b)-i) {
			le.PutUint32(b[i+int(size)-4:], crc32.Checksum(b[i:i+int(size)-4], castagnoli))
		}
	}
}

// FuzzReaderIndex: an index that is read says the same when it is written again.
func FuzzReaderIndex(f *testing.F) {
	b := testSegment(f, testHeader(), 2)
	for _, p := range partsOf(f, b) {
		f.Add(b[p.from:p.to])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		seal(b)
		x, n, err := parseIndex(b)
		if err != nil {
			return
		}
		require.Equal(t, b[:n], x.appendTo(nil))
	})
}

// FuzzReaderFooter: any end of a file is read without harm, and seeking through it ends.
func FuzzReaderFooter(f *testing.F) {
	b := testSegment(f, testHeader(), 2)
	parts := partsOf(f, b)
	f.Add(b[parts[len(parts)-2].from:], int64(0))
	f.Add(b[parts[len(parts)-2].from:], at(100))
	f.Add(b[len(b)-9:], int64(1))
	u, err := newUnpacker()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, footer []byte, moment int64) {
		footer = bytes.Clone(footer)
		seal(footer)
		if s, table, n, err := parseSummary(footer); err == nil {
			require.LessOrEqual(t, n, len(footer))
			require.Len(t, table, int(s.frames)*tableEntrySize)
		}
		file := append(bytes.Clone(b[:parts[len(parts)-2].from]), footer...)
		s := newSegmentReader(bytes.NewReader(file), "f", int64(len(file)), u)
		require.NoError(t, s.elect())
		require.NoError(t, s.skipTo(Received, moment))
		require.LessOrEqual(t, s.at, s.size)
		for {
			_, err := s.next()
			var d *Damage
			if err == io.EOF {
				return
			}
			require.True(t, err == nil || errors.As(err, &d), "%v", err)
		}
	})
}

// FuzzReaderLine: a line that is read is what is written for it.
func FuzzReaderLine(f *testing.F) {
	f.Add([]byte("1764081000123456789 2 []\n"))
	f.Add([]byte("#{}\n"))
	f.Add([]byte("-1 0 \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, rest, ok := cutLine(text)
		if !ok {
			return
		}
		n := len(text) - len(rest)
		if l.control {
			require.Equal(t, "#"+string(l.raw)+"\n", string(text[:n]))
			return
		}
		again, rest, ok := cutLine(append(append(appendHead(nil, l.received, len(l.raw)), l.raw...), '\n'))
		require.True(t, ok)
		require.Empty(t, rest)
		require.Equal(t, l, again)
	})
}

// FuzzReaderCursor: the text of a cursor is the only one that is read as it.
func FuzzReaderCursor(f *testing.F) {
	f.Add("stocks-20261125T143000.000Z-000007:1:2")
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := ParseCursor(s); err == nil {
			require.Equal(t, s, c.String())
		}
	})
}
