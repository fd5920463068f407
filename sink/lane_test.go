package sink_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
)

// told is a handler that writes down what it is told.
type told struct {
	tickstorm.NopHandler
	lines []string
}

func (h *told) note(e tickstorm.Event) {
	head := e.Head()
	h.lines = append(h.lines, fmt.Sprintf("%s %s %d %v %s", head.Market, head.Symbol, head.Received, head.Replayed, e.AppendJSON(nil)))
}

func (h *told) OnTrade(e *tickstorm.Trade)     { h.note(e) }
func (h *told) OnStatus(e *tickstorm.Status)   { h.note(e) }
func (h *told) OnUnknown(e *tickstorm.Unknown) { h.note(e) }

func (h *told) OnError(e *tickstorm.EventError) {
	h.lines = append(h.lines, fmt.Sprintf("error %v %s", e.Err, e.Raw))
}

func (h *told) OnGap(g *tickstorm.Gap) {
	h.lines = append(h.lines, fmt.Sprintf("gap %s %v %v", g.Market, g.Cause, g.Topics))
}

func (h *told) OnState(s *tickstorm.StateChange) {
	if s.State != tickstorm.StateClosed {
		h.lines = append(h.lines, fmt.Sprintf("state %v after %v, %v", s.State, s.Previous, s.Err))
	}
}

// TestLane: what comes out of an engine is what a replay of the recording tells, however often
// it comes.
func TestLane(t *testing.T) {
	dir := t.TempDir()
	rec := sinktest.NewTape(t, dir, false)
	rec.OnState(&tickstorm.StateChange{State: tickstorm.StateStreaming})
	rec.Say(5)
	rec.OnMessage([]byte(`[{"ev":"T",,},7,{"ev":"new","x":1},{"ev":"status","status":"success","message":"subscribed to: T.*"}]`), 1<<60)
	rec.OnState(&tickstorm.StateChange{State: tickstorm.StateBackoff, Err: errors.New("EOF")})
	rec.Gap()
	rec.Say(5)
	rec.OnMessage([]byte(`[{"ev":"T","sym":"A","q":7},{"ev":"T","sym":"B","q":8`), 1<<60)
	rec.OnMessage([]byte(`[{"ev":"T","sym":"A","x":{"y":1}`), 1<<60)
	rec.End()

	var want told
	reader, err := record.Open(dir)
	require.NoError(t, err)
	defer reader.Close()
	replay, err := record.NewReplay(reader, &want, record.ReplayConfig{})
	require.NoError(t, err)
	require.NoError(t, replay.Run(t.Context()))

	var got told
	rows := inside(t, dir)
	lane := sink.NewLane(tickstorm.Stocks, &got, tickstorm.NewSymbols(0), sink.Marks{})
	tell := func(r kept) {
		if r.notice != "" {
			require.NoError(t, lane.Notice(r.stamp, []byte(r.raw)))
		} else if r.channel == "" {
			require.NoError(t, lane.Broken(r.stamp, []byte(r.raw)))
		} else {
			require.NoError(t, lane.Event(r.stamp, []byte(r.raw)))
		}
	}
	for i, r := range rows {
		tell(r)
		tell(rows[sinktest.Random(uint64(i)).IntN(i+1)])
	}
	require.Equal(t, want.lines, got.lines)
	require.EqualValues(t, len(rows), lane.Stats().Rows)
	require.EqualValues(t, len(rows), lane.Stats().Repeated)
	require.NotZero(t, lane.Stats().Newest)

	again := sink.NewLane(tickstorm.Stocks, &got, nil, *lane.Marks())
	before := len(got.lines)
	for _, r := range rows {
		require.NoError(t, again.Event(r.stamp, []byte(r.raw)))
	}
	require.Len(t, got.lines, before)
	require.ErrorIs(t, lane.Event("x", nil), sink.ErrID)
	require.ErrorIs(t, lane.Notice("x", nil), sink.ErrID)
	require.ErrorIs(t, lane.Broken("x", nil), sink.ErrID)
	require.Error(t, lane.Notice(rows[0].stamp, []byte("x")))
}

// TestNotices: what is missing is told as a gap, and what is not is none.
func TestNotices(t *testing.T) {
	for _, c := range []struct {
		notice sink.Notice
		cause  string // "" is no gap
	}{
		{sink.Notice{Kind: "gap", Cause: "EOF"}, "EOF"},
		{sink.Notice{Kind: "dropped", Count: 3, Cause: "full"}, "3 messages of the recording were dropped: full"},
		{sink.Notice{Kind: "lost", Count: 3, Cause: "torn"}, "3 messages of the recording were lost: torn"},
		{sink.Notice{Kind: sink.Damaged, Cause: "torn"}, "damage: torn"},
		{sink.Notice{Kind: sink.Broken, Text: "more behind"}, "broken: more behind"},
		{sink.Notice{Kind: sink.Damaged, Cause: string(record.ClockBack)}, ""},
		{sink.Notice{Kind: "status", Text: "closed"}, ""},
	} {
		t.Run(string(c.notice.Kind), func(t *testing.T) {
			c.notice.ID = *id(t, first+":1:0")
			text, err := c.notice.MarshalJSON()
			require.NoError(t, err)
			var back sink.Notice
			require.NoError(t, back.UnmarshalJSON(text))
			require.Equal(t, c.notice, back)
			gap := back.Gap()
			if c.cause == "" {
				require.Nil(t, gap)
				return
			}
			require.EqualError(t, gap.Cause, c.cause)
		})
	}
}

// TestNoticeBounded: whatever a recording says, a notice has a length that engines take.
func TestNoticeBounded(t *testing.T) {
	dir := t.TempDir()
	rec := sinktest.NewTape(t, dir, false)
	many, odd := &tickstorm.Gap{Cause: errors.New(strings.Repeat("ä", 1<<20))}, &tickstorm.Gap{}
	for i := range 50_000 {
		many.Topics = append(many.Topics, tickstorm.Topic{Channel: []string{"T", "Q"}[i%2], Symbol: strconv.Itoa(i)})
		odd.Topics = append(odd.Topics, tickstorm.Topic{Channel: strconv.Itoa(i), Symbol: "A"})
	}
	rec.OnGap(many)
	rec.OnGap(odd)
	rec.End()
	var gaps []sink.Notice
	for _, r := range inside(t, dir) {
		if r.notice == "gap" {
			require.Less(t, len(r.raw), 200_000)
			var n sink.Notice
			require.NoError(t, n.UnmarshalJSON([]byte(r.raw)))
			gaps = append(gaps, n)
		}
	}
	require.Len(t, gaps, 2)
	require.Equal(t, []string{"T.*", "Q.*"}, gaps[0].Topics)
	require.True(t, strings.HasSuffix(gaps[0].Cause, "ä…"), gaps[0].Cause[len(gaps[0].Cause)-10:])
	require.NotEmpty(t, gaps[1].Topics)
}
