package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// recalled is what a relay sends to who joins late: a piece of trades that were live before.
func recalled(begin dialogue.Status, trades ...int) []byte {
	b := dialogue.AppendStatus([]byte("["), begin)
	for _, ms := range trades {
		b = append(append(b, ','), bytes.Trim(trade(ms), "[]")...)
	}
	b = append(b, ',')
	return append(dialogue.AppendStatus(b, dialogue.SnapshotEndNote(len(trades), false)), ']')
}

// stamped is a message at a time that is not its events'.
type stamped struct {
	ms  int
	msg []byte
}

// pastSegments are two segments of a recording behind a relay: a connection with a history in two
// pieces, which a segment ends between, and another one that begins with a snapshot.
func pastSegments(t *testing.T) (dir string) {
	t.Helper()
	topics := []tickstorm.Topic{{Channel: "T", Symbol: "*"}}
	dir = t.TempDir()
	first, second := testHeader(), testHeader()
	second.Sequence = first.Sequence + 1
	put(t, dir, "a"+Suffix, segmentOf(t, first,
		Control{Kind: Up, Received: at(1)},
		stamped{5, recalled(dialogue.HistoryBeginNote(1, topics), -20, -10)},
		10, 20,
		Control{Kind: Rotate, Received: at(20), Text: "next"},
	))
	put(t, dir, "b"+Suffix, segmentOf(t, second,
		stamped{25, recalled(dialogue.HistoryBeginNote(1, topics), -5)},
		Control{Kind: Down, Received: at(26), Cause: "EOF"}, // before the last piece had come
		Control{Kind: Up, Received: at(27)},
		stamped{28, recalled(dialogue.SnapshotBeginNote(topics), 10, 20)},
		30, 40,
	))
	return dir
}

// TestPast: what a relay has sent of the past is in the recording and in what is cut of it, and nobody
// who reads takes it for live, wherever reading begins, and whatever ends in between.
func TestPast(t *testing.T) {
	dir := pastSegments(t)
	live := []int{10, 20, 30, 40}
	read := func(r *Reader) (live, past []int) {
		for e, err := range r.All(t.Context()) {
			require.NoError(t, err)
			switch ms := int((e.Received - t0.UnixNano()) / 1e6); {
			case e.Raw == nil:
				require.False(t, e.Past)
			case e.Past:
				past = append(past, ms)
			default:
				live = append(live, ms)
			}
		}
		return live, past
	}

	got, past := read(open(t, dir))
	require.Equal(t, live, got)
	require.Empty(t, past)

	var gaps [][2]int64 // what came while topics were not live is nowhere else
	for e, err := range open(t, dir).All(t.Context()) {
		require.NoError(t, err)
		if c, ok := e.Gap(); ok && c.Kind == Gap {
			require.Contains(t, c.Cause, "past")
			gaps = append(gaps, [2]int64{nanos(c.From.Received), nanos(c.To.Received)})
		}
	}
	require.Equal(t, [][2]int64{{at(1), at(5)}, {at(20), at(25)}, {at(27), at(28)}}, gaps)

	all := open(t, dir)
	all.Past()
	got, past = read(all)
	require.Equal(t, live, got)
	require.Equal(t, []int{5, 25, 28}, past)

	cut := filepath.Join(t.TempDir(), "cut"+Suffix)
	damage, err := Cut(t.Context(), cut, time.Unix(0, at(5)), time.Unix(0, at(29)), dir)
	require.NoError(t, err)
	require.Empty(t, damage)
	all = open(t, cut)
	all.Past()
	got, past = read(all)
	require.Equal(t, []int{10, 20}, got)
	require.Equal(t, []int{5, 25, 28}, past, "a recording is what came")
	got, _ = read(open(t, cut))
	require.Equal(t, []int{10, 20}, got)

	for ms := -30; ms < 45; ms++ { // also to what a piece has
		for clock, late := range map[Clock]int{Received: 0, Event: 5} { // than its events
			var want []int
			for _, n := range live {
				if n-late >= ms {
					want = append(want, n)
				}
			}
			r := open(t, dir)
			r.Seek(clock, time.Unix(0, at(ms)))
			got, _ := read(r)
			require.Equal(t, want, got, "clock %v, %d", clock, ms)
		}
	}

	r := open(t, dir)
	r.Filter(Filter{Channels: []string{"T"}})
	got, _ = read(r)
	require.Equal(t, live, got)

	second := testHeader()
	second.Sequence++
	for sequence, want := range [][]int{{30, 40}, {30, 40}, {30, 40}, {30, 40}, {30, 40}, {40}} {
		for element := range uint64(3) { // in the middle of a piece too
			if element == 2 && sequence >= 4 { // behind a message
				want = want[1:]
			}
			r := open(t, dir)
			require.NoError(t, r.Resume(Cursor{second.Name(), uint64(sequence), element}))
			got, _ := read(r)
			require.Len(t, got, len(want), "%d:%d", sequence, element)
			require.Subset(t, want, got)
		}
	}
}

// TestPastConverts: each event is told, written and served once.
func TestPastConverts(t *testing.T) {
	dir := pastSegments(t)
	live := []string{"10", "20", "30", "40"}
	ms := func(nanos int64) string { return fmt.Sprint((nanos - t0.UnixNano()) / 1e6) }

	for _, ahead := range []bool{false, true} {
		s := &script{}
		p, err := NewReplay(open(t, dir), s, ReplayConfig{Ahead: ahead})
		require.NoError(t, err)
		require.NoError(t, p.Run(t.Context()))
		require.EqualValues(t, len(live), p.Stats().Messages)
		var told []string
		for _, line := range s.told {
			require.NotContains(t, line, "taken for live")
			if _, received, ok := strings.Cut(line, "AAPL "); ok {
				told = append(told, received[strings.LastIndex(received, " ")+1:])
			}
		}
		require.Equal(t, live, told)
	}

	folder := t.TempDir()
	_, err := CSV(t.Context(), folder, open(t, dir))
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(folder, "trades.csv"))
	require.NoError(t, err)
	require.Equal(t, 1+2*len(live), strings.Count(string(text), "\n"), string(text))
	require.NoFileExists(t, filepath.Join(folder, "statuses.csv"))

	var lines bytes.Buffer
	done, err := JSONLines(t.Context(), &lines, open(t, dir))
	require.NoError(t, err)
	require.EqualValues(t, 2*len(live), done.Elements)

	served := func(next func() ([]byte, int64, error)) (got []string) {
		for {
			msg, received, err := next()
			if err == io.EOF {
				return got
			}
			require.NoError(t, err)
			var all []struct{ Ev, Status string }
			require.NoError(t, json.Unmarshal(msg, &all))
			if all[0].Ev == "T" {
				got = append(got, ms(received))
			} else {
				require.NotContains(t, all[0].Status, "begin")
			}
		}
	}
	source, err := OpenSource(tickstorm.Stocks, dir)
	require.NoError(t, err)
	defer source.Close()
	require.Equal(t, live, served(source.Next))
	history, err := OpenHistory(t.Context(), tickstorm.Stocks, time.Unix(0, at(0)), time.Unix(0, at(50)), dir)
	require.NoError(t, err)
	defer history.Close()
	require.Equal(t, live, served(history.Next))
}
