package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

var t0 = time.Date(2026, 11, 25, 14, 30, 0, 0, time.UTC)

func testHeader() Header {
	return Header{Market: tickstorm.Stocks, Host: "socket.massive.com", Topics: []string{"T.*"}, Started: t0, Sequence: 7, Software: "test"}
}

// at is a moment of the tests in nanoseconds: t0 and ms milliseconds.
func at(ms int) int64 { return t0.UnixNano() + int64(ms)*1e6 }

// trade is a message of two trades, whose event time is 5 ms before ms.
func trade(ms int) []byte {
	return fmt.Appendf(nil, `[{"ev":"T","sym":"AAPL","p":187.3,"s":100,"t":%d,"q":%d},{"ev":"T","sym":"MSFT","p":415.1,"s":5,"t":%[1]d,"q":%[2]d}]`,
		t0.UnixMilli()+int64(ms)-5, ms)
}

// testSegment is a finished segment of this many frames of three messages and a control each.
func testSegment(t testing.TB, h Header, frames int) []byte {
	t.Helper()
	var b bytes.Buffer
	s, err := newSegmentWriter(&b, h, LevelDefault)
	require.NoError(t, err)
	for f := range frames {
		for m := range 3 {
			ms := 100*f + 10*m
			require.NoError(t, s.message(at(ms), trade(ms)))
		}
		require.NoError(t, s.control(Control{Kind: Dropped, Received: at(100*f + 30), Count: uint64(f)}))
		require.NoError(t, s.flush())
	}
	require.NoError(t, s.finish())
	require.EqualValues(t, b.Len(), s.written())
	return b.Bytes()
}

// raw is how many bytes of lines there are, those of the open frame too.
func (s *segmentWriter) raw() int64 { return int64(s.footer.raw) + int64(len(s.text)) }

func unpack(t testing.TB, b []byte) string {
	t.Helper()
	r, err := zstd.NewReader(bytes.NewReader(b))
	require.NoError(t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(text)
}

func TestSegmentText(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(unpack(t, testSegment(t, testHeader(), 2)), "\n"), "\n")
	require.Len(t, lines, 1+2*4)
	require.Regexp(t, `^#\{"tsr":1,"id":"[0-9a-f]{16}","market":"stocks","host":"socket.massive.com","topics":\["T.\*"\],"started":"2026-11-25T14:30:00Z","sequence":7,"software":"test"\}$`, lines[0])
	require.Equal(t, fmt.Sprintf("%d %d %s", at(10), len(trade(10)), trade(10)), lines[2])
	require.Equal(t, fmt.Sprintf(`#{"c":"dropped","t":%d,"count":1}`, at(130)), lines[8])
}

// What the format is for: stock tools read it.
func TestSegmentStockTools(t *testing.T) {
	for _, tool := range []string{"zstdcat", "grep", "cut", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing", tool)
		}
	}
	name := filepath.Join(t.TempDir(), "f"+Suffix)
	require.NoError(t, os.WriteFile(name, testSegment(t, testHeader(), 3), 0o600))
	out, err := exec.Command("sh", "-ec", `zstdcat "$1" | grep -v '^#' | cut -d' ' -f3- | jq -c '.[]'`, "sh", name).Output()
	require.NoError(t, err)
	require.Equal(t, 3*3*2, strings.Count(string(out), "\n"))
	require.Contains(t, string(out), `{"ev":"T","sym":"MSFT","p":415.1,"s":5,"t":`)
}

func TestSegmentWriterCloses(t *testing.T) {
	var b bytes.Buffer
	s, err := newSegmentWriter(&b, testHeader(), LevelFastest)
	require.NoError(t, err)
	header := s.raw()
	line := int64(len(appendHead(nil, at(1), len(trade(1)))) + len(trade(1)) + 1)
	for i := range 3 * int(frameRaw/line) {
		require.NoError(t, s.message(at(1), trade(1)), i)
	}
	require.Equal(t, header+3*(frameRaw/line)*line, s.raw())
	require.EqualValues(t, 3, s.footer.frames, "header and two frames are written, a third is open")
	require.NoError(t, s.message(at(1), bytes.Repeat([]byte{' '}, frameRaw+1)))
	require.EqualValues(t, 5, s.footer.frames, "a long message has a frame of its own")

	require.ErrorIs(t, s.message(at(1), make([]byte, MaxMessage+1)), ErrTooLong)
	require.NoError(t, s.finish())
	require.Error(t, s.message(at(1), nil))
	require.Error(t, s.finish())
	require.EqualValues(t, s.raw(), len(unpack(t, b.Bytes())))

	_, err = newSegmentWriter(io.Discard, Header{}, LevelDefault)
	require.ErrorIs(t, err, ErrMarket)
}

type fullDisk struct{ left int }

var errFull = errors.New("no space")

func (d *fullDisk) Write(b []byte) (int, error) {
	n := min(d.left, len(b))
	d.left -= n
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func TestSegmentWriterDiskFull(t *testing.T) {
	disk := &fullDisk{left: 500}
	s, err := newSegmentWriter(disk, testHeader(), LevelDefault)
	require.NoError(t, err)
	require.NoError(t, s.message(at(1), trade(1)))
	require.ErrorIs(t, s.flush(), errFull)
	require.EqualValues(t, 500, s.written())
	disk.left = 1 << 20
	require.ErrorIs(t, s.message(at(1), trade(1)), errFull, "nothing follows a torn frame")
	require.ErrorIs(t, s.control(Control{Kind: Up}), errFull)
	require.ErrorIs(t, s.finish(), errFull)
	require.EqualValues(t, 500, s.written())
}

func TestSegmentName(t *testing.T) {
	h := testHeader()
	require.Equal(t, "stocks-20261125T143000.000Z-000007", h.Name())
	h.Market, h.Sequence = tickstorm.FuturesCME, 12345678
	require.Equal(t, "futures-cme-20261125T143000.000Z-12345678", h.Name())
}

func TestEventTime(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    tickstorm.Kind
		element string
		want    int64
	}{
		{"milliseconds", tickstorm.KindTrade, `{"ev":"T","sym":"A","t":1764081000123}`, 1764081000123e6},
		{"nanoseconds", tickstorm.KindLULD, `{"ev":"LULD","t":1764081000123456789,"q":1}`, 1764081000123456789},
		{"exponent", tickstorm.KindTrade, `{"ev":"T","t":1.764081000123e12}`, 1764081000123e6},
		{"aggregate", tickstorm.KindAggregate, `{"ev":"A","s":1,"e":1764081000123}`, 1764081000123e6},
		{"none", tickstorm.KindTrade, `{"ev":"T"}`, 0},
		{"null", tickstorm.KindTrade, `{"ev":"T","t":null}`, 0},
		{"too long", tickstorm.KindTrade, `{"ev":"T","t":99999999999999999999999}`, 0},
		{"status", tickstorm.KindStatus, `{"ev":"status","t":5}`, 0},
		{"end", tickstorm.KindTrade, `{"ev":"T","t":`, 0},
	} {
		require.Equal(t, c.want, EventTime(c.kind, []byte(c.element)), c.name)
	}
}

// TestOddMarkets: a segment of a market that no recorder has is none: its name would be part of paths,
// ids and subjects.
func TestOddMarkets(t *testing.T) {
	for _, m := range []tickstorm.Market{"a b", "a!b", "a:b", "../a", "a\nb", ".", "-a"} {
		t.Run(string(m), func(t *testing.T) {
			var b bytes.Buffer
			s, err := newSegmentWriter(&b, Header{Market: m, Started: time.Unix(1, 0)}, LevelFastest)
			require.NoError(t, err)
			require.NoError(t, s.message(1, []byte(`[{"ev":"T"}]`)))
			require.NoError(t, s.finish())
			path := filepath.Join(t.TempDir(), "x"+Suffix)
			require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
			r, err := Open(path)
			require.NoError(t, err)
			defer r.Close()
			e, err := r.Next(t.Context())
			require.NoError(t, err)
			require.NotNil(t, e.Damage)
			require.Equal(t, NoSegment, e.Damage.Reason)
			_, err = r.Next(t.Context())
			require.Equal(t, io.EOF, err)
		})
	}
}
