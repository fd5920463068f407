package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

func TestJSONLines(t *testing.T) {
	moment := func(ms int) tickstorm.Moment {
		return tickstorm.Moment{Received: t0.Add(time.Duration(ms) * time.Millisecond)}
	}
	b := segmentOf(t, testHeader(),
		Control{Kind: Up, Received: at(0)},
		[]byte("[{\"ev\":\"T\",\n\t\"sym\":\"A\\n\"} , {\"new\":1}, {\"ev\":\"Q\",\"p\":1.50}]"),
		Control{Kind: Gap, Received: at(1), From: moment(30), To: moment(60), Topics: []string{"T.*"}, Cause: "EOF"},
		[]byte(`[{"ev":"T","p":01}]`),
		10,
		Control{Kind: Dropped, Received: at(70), From: moment(61), To: moment(69), Count: 3, Cause: "buffer full"},
		[]byte(`not JSON`),
		20)
	x := partsOf(t, b)
	b[x[11].to-5] ^= 1 // in the frame of the message at 10
	r := open(t, put(t, t.TempDir(), "a"+Suffix, b))
	var out bytes.Buffer
	done, err := JSONLines(t.Context(), &out, r)
	require.NoError(t, err)
	require.Equal(t, Converted{Elements: 4, Gaps: 3, Broken: 3}, done)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for _, l := range lines {
		require.True(t, json.Valid([]byte(l)), l)
	}
	last := strings.Split(strings.Trim(string(trade(20)), "[]"), "},")
	require.Equal(t, []string{
		"{\"ev\":\"T\", \t\"sym\":\"A\\n\"}",
		`{"error":"element has no ev","market":"stocks","raw":"{\"new\":1}"}`,
		`{"ev":"Q","p":1.50}`,
		`{"gap":"gap","market":"stocks","from":{"received":1795617000030000000},"to":{"received":1795617000060000000},"cause":"EOF","topics":["T.*"]}`,
		`{"error":"element is not valid JSON","market":"stocks","raw":"{\"ev\":\"T\",\"p\":01}"}`,
		`{"gap":"damage","market":"stocks","from":{"received":1795617000000000000},"cause":"checksum"}`,
		`{"gap":"dropped","market":"stocks","from":{"received":1795617000061000000},"to":{"received":1795617000069000000},"cause":"buffer full","count":3}`,
		`{"error":"message is neither an array nor an object","market":"stocks","raw":"not JSON"}`,
		last[0] + "}", last[1],
	}, lines)
}

// TestJSONLinesRefused: an error of where it is written ends it.
func TestJSONLinesRefused(t *testing.T) {
	path := put(t, t.TempDir(), "a"+Suffix, testSegment(t, testHeader(), 3))
	broken := errors.New("broken")
	_, err := JSONLines(t.Context(), refusing{broken}, open(t, path))
	require.ErrorIs(t, err, broken)
}

type refusing struct{ err error }

func (r refusing) Write([]byte) (int, error) { return 0, r.err }
