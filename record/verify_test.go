package record

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

func verify(t testing.TB, path string) *Report {
	t.Helper()
	reports, err := Verify(context.Background(), path)
	require.NoError(t, err)
	require.Len(t, reports, 1)
	return reports[0]
}

func TestVerify(t *testing.T) {
	path := put(t, t.TempDir(), "a"+Suffix, testSegment(t, testHeader(), 3))
	r := verify(t, path)
	require.True(t, r.OK())
	require.Positive(t, r.Raw)
	require.Positive(t, r.Packed)
	r.Raw, r.Packed = 0, 0
	require.Equal(t, &Report{
		Path: path, Header: testHeader(), Finished: true, Frames: 3, Messages: 9, Controls: 3, Elements: map[string]uint64{"T": 18},
		FirstReceived: time.Unix(0, at(0)), LastReceived: time.Unix(0, at(230)), FirstEvent: time.Unix(0, at(-5)), LastEvent: time.Unix(0, at(215)),
	}, r)
}

// Verify says so of a bit that is flipped in any byte. What can be
// recovered is all that a reader finds, and is good.
func TestVerifyRecoverFlipAnywhere(t *testing.T) {
	b := testSegment(t, testHeader(), 3)
	folder := t.TempDir()
	to := filepath.Join(folder, "b"+Suffix)
	for _, p := range partsOf(t, b) {
		for i := p.from; i < p.to; i++ {
			c := bytes.Clone(b)
			c[i] ^= 1 << (i % 8)
			path := put(t, folder, "a"+Suffix, c)
			require.False(t, verify(t, path).OK(), "byte %d of %+v", i-p.from, p)
			if (i-p.from)%23 != 0 {
				continue
			}
			want, _, err := tryRead(c, path)
			require.NoError(t, err)
			report, err := Recover(t.Context(), to, path)
			require.NoError(t, err)
			require.False(t, report.OK())
			require.True(t, verify(t, to).OK())
			out, err := os.ReadFile(to)
			require.NoError(t, err)
			got, damage, err := tryRead(out, to)
			require.NoError(t, err)
			require.Empty(t, damage)
			got = slices.DeleteFunc(got, func(s string) bool { return bytes.Contains([]byte(s), []byte(" lost ")) })
			require.Equal(t, want, got)
			in, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c, in)
			require.NoError(t, os.Remove(to))
		}
	}
}

func TestVerifyDamage(t *testing.T) {
	b := testSegment(t, testHeader(), 3)
	parts := partsOf(t, b)
	s := slices.Clone(b)
	s[parts[3].from+5]++
	path := put(t, t.TempDir(), "a"+Suffix, s)
	r := verify(t, path)
	require.EqualValues(t, 2, r.Frames)
	require.Equal(t, []*Damage{{path, int64(parts[2].from), int64(parts[3].to - parts[2].from), Checksum}}, r.Damage)
	require.ErrorContains(t, r.Damage[0], "checksum")

	t.Run("unfinished", func(t *testing.T) {
		r := verify(t, put(t, t.TempDir(), "a"+Suffix, b[:parts[6].from]))
		require.False(t, r.Finished)
		require.Equal(t, []Reason{Unfinished}, reasons(r.Damage))
	})
	t.Run("an index that lies", func(t *testing.T) {
		c := inSecond(t, b, func(x index) []byte {
			x.event.last++
			return append(x.appendTo(nil), b[parts[5].from:parts[5].to]...)
		})
		r := verify(t, put(t, t.TempDir(), "a"+Suffix, c))
		require.Equal(t, []Reason{Lying}, reasons(r.Damage))
	})
	t.Run("no segment", func(t *testing.T) {
		r := verify(t, put(t, t.TempDir(), "a"+Suffix, []byte("?")))
		require.Contains(t, reasons(r.Damage), NoSegment)
	})
	t.Run("a clock that is put back is no damage", func(t *testing.T) {
		var b bytes.Buffer
		s, err := newSegmentWriter(&b, testHeader(), LevelDefault)
		require.NoError(t, err)
		require.NoError(t, s.message(at(5), trade(5)))
		require.NoError(t, s.message(at(4), trade(4)))
		require.NoError(t, s.finish())
		r := verify(t, put(t, t.TempDir(), "a"+Suffix, b.Bytes()))
		require.True(t, r.OK())
		require.Equal(t, []Reason{ClockBack}, reasons(r.Damage))
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := Verify(ctx, path)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestRecover(t *testing.T) {
	b := testSegment(t, testHeader(), 3)
	parts := partsOf(t, b)
	for _, c := range []struct {
		name string
		file []byte
		want []string
	}{
		{"nothing wrong", b, lines(0, 1, 2)},
		{"torn", b[:parts[7].to-1], slices.Concat(lines(0, 1), []string{"8 lost 0"})},
		{"unfinished", b[:parts[8].from], lines(0, 1, 2)},
		{"a frame missing", inSecond(t, b, func(index) []byte { return nil }), slices.Concat(lines(0), []string{"4 lost 4"}, lines(2))},
		{"an index that another version wrote", inSecond(t, b, func(x index) []byte {
			x.channels, x.event = nil, span{}
			return append(x.appendTo(nil), b[parts[5].from:parts[5].to]...)
		}), lines(0, 1, 2)},
		{"an index of more lines", inSecond(t, b, func(x index) []byte {
			first, _, _ := strings.Cut(unpack(t, b[parts[4].from:parts[5].to]), "\n")
			return forge(t, func(y *index) { x.raw, x.packed, x.sum = y.raw, y.packed, y.sum; *y = x }, first+"\n")
		}), slices.Concat(lines(0), lines(1)[:1], []string{"5 lost 3"}, lines(2))},
		{"an index of fewer lines", inSecond(t, b, func(x index) []byte {
			x.messages--
			return append(x.appendTo(nil), b[parts[5].from:parts[5].to]...)
		}), lines(0, 1, 2)},
		{"an index of fewer lines at the end", slices.Concat(b[:parts[4].from], func() []byte {
			x, _, err := parseIndex(b[parts[4].from:])
			require.NoError(t, err)
			x.messages--
			return append(x.appendTo(nil), b[parts[5].from:parts[5].to]...)
		}()), lines(0, 1)},
		{"an index of fewer lines, and so those behind", slices.Concat(b[:parts[4].from], func() []byte {
			x, _, err := parseIndex(b[parts[4].from:])
			require.NoError(t, err)
			x.messages--
			y, _, err := parseIndex(b[parts[6].from:])
			require.NoError(t, err)
			y.line--
			return slices.Concat(x.appendTo(nil), b[parts[5].from:parts[5].to], y.appendTo(nil), b[parts[7].from:parts[7].to])
		}()), slices.Concat(lines(0), []string{"4 lost 3"}, []string{"7 message at 200", "8 message at 210", "9 message at 220", "10 dropped 2"})},
		{"no beginning", b[parts[4].from:], slices.Concat([]string{"0 lost 4"}, lines(1, 2))},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := t.TempDir()
			from, to := put(t, folder, "a"+Suffix, c.file), filepath.Join(folder, "b"+Suffix)
			_, err := Recover(t.Context(), to, from)
			require.NoError(t, err)
			r := verify(t, to)
			require.True(t, r.OK(), r.Damage)
			require.True(t, r.Finished)
			h := testHeader()
			require.Equal(t, h.Name(), r.Header.Name())
			require.Equal(t, c.want, readAll(t, open(t, to)))

			_, err = Recover(t.Context(), to, from)
			require.ErrorIs(t, err, os.ErrExist)
			_, err = Recover(t.Context(), from, from)
			require.ErrorIs(t, err, os.ErrExist)
			in, err := os.ReadFile(from)
			require.NoError(t, err)
			require.Equal(t, c.file, in)
			list, err := os.ReadDir(folder)
			require.NoError(t, err)
			require.Len(t, list, 2)
		})
	}
	t.Run("to the name that it was to have", func(t *testing.T) {
		folder := t.TempDir()
		name := filepath.Join(folder, "a"+Suffix)
		from := put(t, folder, "a"+PartSuffix, b[:parts[6].from+1])
		_, err := Recover(t.Context(), name, from)
		require.NoError(t, err)
		require.Equal(t, slices.Concat(lines(0, 1), []string{"8 lost 0"}), readAll(t, open(t, folder)), "and of the two one is read")
	})
	t.Run("nothing", func(t *testing.T) {
		folder := t.TempDir()
		_, err := Recover(t.Context(), filepath.Join(folder, "b"+Suffix), put(t, folder, "a"+Suffix, []byte("garbage")))
		require.ErrorIs(t, err, ErrNothing)
		list, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Len(t, list, 1, "nothing is left behind")
	})
}

func TestCutMerge(t *testing.T) {
	folder := t.TempDir()
	h := testHeader()
	put(t, folder, "a"+Suffix, testSegment(t, h, 4))
	cut := func(from, until int) (string, error) {
		to := filepath.Join(t.TempDir(), "b"+Suffix)
		damage, err := Cut(t.Context(), to, time.Unix(0, at(from)), time.Unix(0, at(until)), folder)
		require.Empty(t, damage)
		return to, err
	}
	to, err := cut(110, 220)
	require.NoError(t, err)
	require.True(t, verify(t, to).OK())
	require.Equal(t, h.Topics, verify(t, to).Header.Topics)
	require.Equal(t, []string{"0 message at 110", "1 message at 120", "2 dropped 1", "3 message at 200", "4 message at 210"}, readAll(t, open(t, to)))
	_, err = cut(1000, 2000)
	require.ErrorIs(t, err, ErrNothing)

	h.Sequence++
	torn := testSegment(t, h, 2)
	put(t, folder, "x/b"+Suffix, torn[:partsOf(t, torn)[5].to-1])
	to = filepath.Join(t.TempDir(), "c"+Suffix)
	damage, err := Merge(t.Context(), to, folder)
	require.NoError(t, err)
	require.Equal(t, []Reason{Torn}, reasons(damage))
	r := verify(t, to)
	require.True(t, r.OK())
	require.EqualValues(t, 12+3, r.Messages)
	require.EqualValues(t, 4+1+1, r.Controls)

	t.Run("damage out of the range", func(t *testing.T) {
		b := segmentOf(t, testHeader(), 0, 10, 20, 30, 40, 50)
		p := partsOf(t, b)
		for _, frame := range []int{1, 4} { // what was received at 10 and 40
			b[p[2+2*frame].from+20]++
			b[p[3+2*frame].to-1]++
		}
		folder, h := t.TempDir(), testHeader()
		put(t, folder, "a"+Suffix, b[:p[13].to-1])
		h.Sequence, h.Started = h.Sequence+1, t0.Add(time.Second)
		later := segmentOf(t, h, 1000)
		later[partsOf(t, later)[0].from+20]++
		put(t, folder, "b"+Suffix, later)
		for _, c := range []struct {
			from, until int
			want        []string
		}{
			{0, 5, []string{"0 message at 0", "1 lost 0"}}, // what is behind it may be of 4
			{0, 20, []string{"0 message at 0", "1 lost 0"}},
			{20, 25, []string{"0 message at 20"}},
			{20, 30, []string{"0 message at 20"}},
			{20, 35, []string{"0 message at 20", "1 message at 30", "2 lost 0", "3 lost 0"}},
		} {
			to := filepath.Join(t.TempDir(), "b"+Suffix)
			_, err := Cut(t.Context(), to, time.Unix(0, at(c.from)), time.Unix(0, at(c.until)), folder)
			require.NoError(t, err)
			require.Equal(t, c.want, readAll(t, open(t, to)))
		}
	})

	h.Market = tickstorm.Crypto
	put(t, folder, "c"+Suffix, testSegment(t, h, 1))
	_, err = Merge(t.Context(), filepath.Join(t.TempDir(), "d"), folder)
	require.ErrorIs(t, err, ErrMarkets)
}
