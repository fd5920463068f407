package record

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// TestHistory: what was received comes, and of every time at which nothing was it is said that it is
// missing, whatever the recording says of it.
func TestHistory(t *testing.T) {
	moment := func(ms int) tickstorm.Moment { return tickstorm.Moment{Received: time.Unix(0, at(ms))} }
	greeting := []byte(`[{"ev":"status","status":"connected","message":"Connected Successfully"}]`)
	dir := t.TempDir()
	first := testHeader()
	put(t, dir, "a"+Suffix, segmentOf(t, first,
		Control{Kind: Up, Received: at(1)},
		10,
		Control{Kind: Down, Received: at(11), Cause: "EOF"},
		Control{Kind: Status, Received: at(12), Text: "backoff"},
		Control{Kind: Up, Received: at(19)},
		Control{Kind: Gap, Received: at(20), From: moment(10), To: moment(20), Cause: "EOF"},
		20,
		Control{Kind: Dropped, Received: at(29), From: moment(21), To: moment(28), Count: 3, Cause: "buffer full"},
		30,
		Control{Kind: Down, Received: at(31), Cause: "reset"}, // nothing was subscribed to
		Control{Kind: Up, Received: at(39)},
		40,
		Control{Kind: Rotate, Received: at(40), Text: "next"},
	))
	second := testHeader()
	second.Sequence, second.Started = first.Sequence+1, t0.Add(40*time.Millisecond)
	killed := segmentOf(t, second, 45, 50)
	written := 0
	for _, p := range partsOf(t, killed) {
		if p.frame >= 0 && !p.index {
			written = p.to
		}
	}
	put(t, dir, "b"+Suffix, killed[:written]) // of a process that was killed
	third := testHeader()
	third.Sequence, third.Started = first.Sequence+2, t0.Add(100*time.Millisecond)
	put(t, dir, "c"+Suffix, segmentOf(t, third,
		Control{Kind: Status, Received: at(100), Text: "connecting"},
		Control{Kind: Up, Received: at(101)},
		110,
		Control{Kind: Down, Received: at(120), Cause: "closed"},
	))
	crypto := testHeader()
	crypto.Market = tickstorm.Crypto
	put(t, dir, "d"+Suffix, segmentOf(t, crypto, greeting, 60, 70))

	gap := func(from, to int, cause string) string { return fmt.Sprintf("gap %d to %d: %s", from, to, cause) }
	eof, reset, none := gap(10, 20, "EOF"), gap(30, 40, "reset"), notRecorded
	dropped := gap(21, 28, "dropped, 3 messages: buffer full")
	for _, tc := range []struct {
		name     string
		from, to int
		complete bool
		want     []string
	}{
		{"all", 0, 200, false, []string{gap(0, 10, none), "10", eof, "20", dropped, "30", reset, "40", "45", "50", gap(50, 110, "not recorded"), "110", gap(110, 200, "closed")}},
		{"what a recorder still writes", 45, 200, true, []string{"45", "50", gap(50, 110, none), "110"}},
		{"before it all", -50, 0, false, []string{gap(-50, 0, none)}},
		{"before it all, of a recorder", -50, 0, true, []string{}},
		{"where it begins", -50, 11, true, []string{gap(-50, 10, none), "10"}},
		{"in a connection", 10, 11, true, []string{"10"}},
		{"where nobody was", 60, 110, false, []string{gap(60, 110, none)}},
		{"from where nobody was", 60, 111, true, []string{gap(60, 110, none), "110"}},
		{"behind it all", 150, 200, false, []string{gap(150, 200, none)}},
		{"up to what a gap is told of", 15, 20, false, []string{gap(15, 20, none)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, err := OpenHistory(t.Context(), tickstorm.Stocks, time.Unix(0, at(tc.from)), time.Unix(0, at(tc.to)), dir)
			require.NoError(t, err)
			defer h.Close()
			h.Complete = tc.complete
			got := []string{}
			last := at(tc.from)
			for {
				msg, received, err := h.Next()
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				require.True(t, last <= received && received < at(tc.to), "%d", received)
				last = received
				var all []struct{ Ev, Status, Message string }
				require.NoError(t, json.Unmarshal(msg, &all), string(msg))
				if all[0].Ev == "T" {
					got = append(got, fmt.Sprint((received-t0.UnixNano())/1e6))
					continue
				}
				require.Equal(t, "gap", all[0].Status)
				var from, to int64
				_, err = fmt.Sscanf(all[0].Message, "from=%d to=%d cause=", &from, &to)
				require.NoError(t, err)
				_, cause, _ := strings.Cut(all[0].Message, "cause=")
				got = append(got, gap(int((from-t0.UnixNano())/1e6), int((to-t0.UnixNano())/1e6), cause))
			}
			require.Equal(t, tc.want, got)
			_, _, err = h.Next()
			require.Equal(t, io.EOF, err, "again")
		})
	}
}

// TestHistoryEnds: a reading that nobody waits for any more ends, and what cannot be read says so.
func TestHistoryEnds(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a"+Suffix, segmentOf(t, testHeader(), 10, 20))
	ctx, cancel := context.WithCancel(t.Context())
	h, err := OpenHistory(ctx, tickstorm.Stocks, t0, t0.Add(time.Hour), dir)
	require.NoError(t, err)
	defer h.Close()
	cancel()
	_, _, err = h.Next()
	require.ErrorIs(t, err, context.Canceled)
	_, err = OpenHistory(ctx, tickstorm.Stocks, t0, t0.Add(time.Hour), dir)
	require.ErrorIs(t, err, context.Canceled)
	_, err = OpenHistory(t.Context(), tickstorm.Stocks, t0, t0.Add(time.Hour), dir+"/none")
	require.Error(t, err)
}
