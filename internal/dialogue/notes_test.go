package dialogue_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// statuses parses a message and returns its statuses and what they mean to a client.
func statuses(t *testing.T, msg []byte) (found []dialogue.Status, codes []tickstorm.StatusCode) {
	h := &collector{}
	require.NoError(t, tickstorm.NewParser(tickstorm.Stocks).Parse(msg, h))
	return h.found, h.codes
}

type collector struct {
	tickstorm.NopHandler
	found []dialogue.Status
	codes []tickstorm.StatusCode
}

func (c *collector) OnStatus(s *tickstorm.Status) {
	c.found = append(c.found, dialogue.Status{Status: string(s.Status), Message: string(s.Message)})
	c.codes = append(c.codes, s.Code())
}

func TestNotesAreNothingToClientsThatDoNotKnowThem(t *testing.T) {
	for _, n := range []dialogue.Status{
		{Status: dialogue.UpstreamDisconnected, Message: "disconnected: EOF"},
		{Status: dialogue.UpstreamConnected},
		dialogue.GapNote(1, 2, `max_connections: "too many connections"`),
		dialogue.DroppedNote(7),
		dialogue.PendingNote("T.AAPL"),
		dialogue.SnapshotBeginNote([]tickstorm.Topic{{Channel: "T", Symbol: "AAPL"}, {Channel: "Q", Symbol: tickstorm.All}}),
		dialogue.SnapshotEndNote(2, true),
		dialogue.HistoryBeginNote(1, []tickstorm.Topic{{Channel: "T", Symbol: "AAPL"}}),
		dialogue.HistoryEndNote(2, 3, false),
		dialogue.WithdrawnNote("T.AAPL"),
	} {
		found, codes := statuses(t, dialogue.AppendMessage(nil, n))
		require.Equal(t, []dialogue.Status{n}, found)
		require.Equal(t, []tickstorm.StatusCode{tickstorm.StatusOther}, codes, "%v", n)
	}
}

func TestNotesAreReadBack(t *testing.T) {
	for _, c := range []struct {
		from, to int64
		cause    string
	}{
		{1764086430905642800, 1764086435905642800, "disconnected: read tcp: to=2 cause=3"},
		{0, 5, ""},
		{-1, 0, "über\n\"quoted\""},
	} {
		n := dialogue.GapNote(c.from, c.to, c.cause)
		require.Equal(t, dialogue.Gap, n.Status)
		from, to, cause, ok := dialogue.ParseGap(n.Message)
		require.True(t, ok, n.Message)
		require.Equal(t, c, struct {
			from, to int64
			cause    string
		}{from, to, cause})
	}
	for _, bad := range []string{"", "from=1", "from=1 to=", "from=x to=2 cause=", "to=2 from=1", "1 to=2", "from=1 to=99999999999999999999 cause="} {
		_, _, _, ok := dialogue.ParseGap(bad)
		require.False(t, ok, bad)
	}
	events, ok := dialogue.ParseDropped(dialogue.DroppedNote(1<<63 + 5).Message)
	require.True(t, ok)
	require.EqualValues(t, uint64(1<<63+5), events)
	topic, ok := dialogue.ParseWithdrawn(dialogue.WithdrawnNote("T.BRK.B").Message)
	require.True(t, ok)
	require.Equal(t, tickstorm.Topic{Channel: "T", Symbol: "BRK.B"}, topic)
	for _, bad := range []string{"", "T.A", "withdrawn: ", "withdrawn: T", "withdrawn: .A", "withdrawn: T."} {
		_, ok := dialogue.ParseWithdrawn(bad)
		require.False(t, ok, bad)
	}
	for _, bad := range []string{"", "7", "-7 events", " events", "7 events more"} {
		_, ok := dialogue.ParseDropped(bad)
		require.False(t, ok, bad)
	}
}

func TestNotesOfThePast(t *testing.T) {
	topics := []tickstorm.Topic{{Channel: "T", Symbol: "AAPL"}, {Channel: "Q", Symbol: tickstorm.All}}
	require.Equal(t, dialogue.Status{Status: "snapshot_begin", Message: "topics=T.AAPL,Q.*"}, dialogue.SnapshotBeginNote(topics))
	require.Equal(t, dialogue.Status{Status: "history_begin", Message: "from=5 topics=T.AAPL,Q.*"}, dialogue.HistoryBeginNote(5, topics))
	for _, n := range []dialogue.Status{
		dialogue.SnapshotEndNote(7, false), dialogue.SnapshotEndNote(7, true), dialogue.HistoryEndNote(9, 7, false), dialogue.HistoryEndNote(9, 7, true),
	} {
		events, live, ok := dialogue.ParsePastEnd(n.Message)
		require.True(t, ok, n.Message)
		require.Equal(t, 7, events)
		require.Equal(t, strings.HasSuffix(n.Message, "next=live"), live)
	}
	require.Equal(t, "events=7 next=snapshot", dialogue.SnapshotEndNote(7, true).Message)
	require.Equal(t, "to=9 events=7 next=history", dialogue.HistoryEndNote(9, 7, true).Message)
	for _, bad := range []string{"", "events=7", "next=live", "events=x next=live", "7 next=live"} {
		_, _, ok := dialogue.ParsePastEnd(bad)
		require.False(t, ok, bad)
	}
}
