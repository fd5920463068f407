package past_test

import (
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
