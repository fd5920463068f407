package past_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/past"
)

func TestMessage(t *testing.T) {
	const trade = `{"ev":"T","sym":"A","q":1}`
	topics := []tickstorm.Topic{{Channel: "T", Symbol: "A"}}
	note := func(s dialogue.Status) string { return string(dialogue.AppendStatus(nil, s)) }
	snapshot, history := note(dialogue.SnapshotBeginNote(topics)), note(dialogue.HistoryBeginNote(1, topics))
	for _, tc := range []struct {
		name, msg string
		want      bool
	}{
		{"a snapshot", "[" + snapshot + "," + trade + "," + note(dialogue.SnapshotEndNote(1, false)) + "]", true},
		{"a history", "[" + history + "," + trade + "," + note(dialogue.HistoryEndNote(2, 1, true)) + "]", true},
		{"one that has nothing", "[" + snapshot + "," + note(dialogue.SnapshotEndNote(0, false)) + "]", true},
		{"without its end", "[" + snapshot + "," + trade + "]", true},
		{"cut off", "[" + history + "," + trade[:9], true},
		{"in another spelling", ` [ { "status" : "snapshot\u005fbegin", "\u0065v":"st\u0061tus" } , ` + trade + `]`, true},
		{"live", "[" + trade + "," + trade + "]", false},
		{"live, of a channel like it", `[{"ev":"stat","sym":"status"},` + trade + "]", false},
		{"an event with such a member", `[{"ev":"T","sym":"A","status":"snapshot_begin"}]`, false},
		{"an end", "[" + note(dialogue.SnapshotEndNote(1, false)) + "," + trade + "]", false},
		{"a gap", "[" + note(dialogue.GapNote(1, 2, "snapshot_begin")) + "," + trade + "]", false},
		{"behind something live", "[" + trade + "," + snapshot + "]", false},
		{"no array", snapshot, false},
		{"an array in it", "[[" + snapshot + "]]", false},
		{"broken", `[{"ev":"status","status":"snapshot_begin"`, false},
		{"of other types", `[{"ev":1,"status":["snapshot_begin"]}]`, false},
		{"empty", "", false},
		{"almost empty", `[{"ev":"`, false},
	} {
		require.Equal(t, tc.want, past.Message([]byte(tc.msg)), tc.name)
	}
}

// TestPiece: what a piece is of, and what comes behind it, is in its statuses.
func TestPiece(t *testing.T) {
	some := []tickstorm.Topic{{Channel: "T", Symbol: "A"}, {Channel: "Q", Symbol: "*"}}
	many := make([]tickstorm.Topic, past.MostNamed)
	for i := range many {
		many[i] = tickstorm.Topic{Channel: "T", Symbol: fmt.Sprint("S", i)}
	}
	gap := dialogue.GapNote(1, 2, "EOF")
	for _, tc := range []struct {
		name                string
		statuses            []dialogue.Status
		named               int
		others, more, empty bool
	}{
		{"a snapshot", []dialogue.Status{dialogue.SnapshotBeginNote(some), dialogue.SnapshotEndNote(1, false)}, 2, false, false, false},
		{"one of several", []dialogue.Status{dialogue.SnapshotBeginNote(some), dialogue.SnapshotEndNote(1, true)}, 2, false, true, false},
		{"one that has nothing", []dialogue.Status{dialogue.SnapshotBeginNote(some), dialogue.SnapshotEndNote(0, false)}, 2, false, false, true},
		{"one of many topics", []dialogue.Status{dialogue.SnapshotBeginNote(many), dialogue.SnapshotEndNote(0, false)}, 100, false, false, true},
		{"one of many that is given up", []dialogue.Status{dialogue.SnapshotBeginNote(many), gap, dialogue.SnapshotEndNote(0, false)}, 100, true, false, false},
		{"a history", []dialogue.Status{dialogue.HistoryBeginNote(1, some), dialogue.HistoryEndNote(2, 1, false)}, 2, false, false, false},
		{"one of several", []dialogue.Status{dialogue.HistoryBeginNote(1, some), dialogue.HistoryEndNote(2, 0, true)}, 2, false, true, true},
		{"one with a gap only", []dialogue.Status{dialogue.HistoryBeginNote(1, some), gap, dialogue.HistoryEndNote(2, 0, false)}, 2, false, false, false},
		{"one of many topics", []dialogue.Status{dialogue.HistoryBeginNote(1, many), dialogue.HistoryEndNote(2, 0, false)}, 100, true, false, true},
		{"without its end", []dialogue.Status{dialogue.SnapshotBeginNote(some)}, 2, false, false, false},
		{"with another", []dialogue.Status{dialogue.SnapshotBeginNote(some), {Status: past.SnapshotEnd, Message: "done"}}, 2, false, false, false},
		{"of nothing that is known", []dialogue.Status{{Status: past.HistoryBegin, Message: "all"}, dialogue.HistoryEndNote(2, 1, false)}, 0, true, false, false},
		{"of none", []dialogue.Status{dialogue.HistoryBeginNote(1, nil), dialogue.HistoryEndNote(2, 1, false)}, 0, true, false, false},
	} {
		var p past.Piece
		for _, s := range tc.statuses {
			p.Status([]byte(s.Status), []byte(s.Message))
		}
		require.Len(t, p.Topics, tc.named, tc.name)
		if tc.named == 2 {
			require.Equal(t, []string{"T.A", "Q.*"}, p.Topics, tc.name)
		}
		require.Equal(t, []bool{tc.others, tc.more, tc.empty}, []bool{p.Others, p.More, p.Empty}, tc.name)
	}
}

// TestEvents: events are told apart by what stands around them, or by their time where that is gone.
func TestEvents(t *testing.T) {
	var e past.Events
	require.False(t, e.Has(0))
	require.False(t, e.Has(1))
	e.Status([]byte("auth_success"), 1)
	require.False(t, e.Has(1))
	for _, word := range [][2]string{{past.SnapshotBegin, past.SnapshotEnd}, {past.HistoryBegin, past.HistoryEnd}} {
		e.Status([]byte(word[0]), 2)
		require.True(t, e.Has(2))
		e.Status([]byte("gap"), 2) // of what was recalled
		require.True(t, e.Has(2))
		e.Status([]byte(word[1]), 2)
		require.False(t, e.Has(2), "what comes behind it in the same read")
		e.Status([]byte(word[0]), 3)
		require.True(t, e.Has(3))
		require.False(t, e.Has(4), "though it was not told of the end")
	}
}
