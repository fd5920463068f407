package tickstorm

import (
	"context"
	"errors"
	"log/slog"
)

// LogHandler prints every event, for a first look at a stream: statuses by what they
// mean, refusals as warnings and failures as errors; all else with its JSON. It prints
// the states and gaps of a [Client] too, and what a [Queue] dropped. It
// allocates and is slow. The zero LogHandler prints to [slog.Default].
type LogHandler struct {
	Logger *slog.Logger
}

var (
	_ Handler      = LogHandler{}
	_ StateHandler = LogHandler{}
	_ GapHandler   = LogHandler{}
	_ DropHandler  = LogHandler{}
)

func (h LogHandler) logger() *slog.Logger {
	if h.Logger == nil {
		return slog.Default()
	}
	return h.Logger
}

func (h LogHandler) log(e Event) {
	h.logger().Info(e.Kind().String(), "symbol", e.Head().Symbol, "event", string(e.AppendJSON(nil)))
}

// OnTrade prints the trade.
func (h LogHandler) OnTrade(e *Trade) { h.log(e) }

// OnQuote prints the quote.
func (h LogHandler) OnQuote(e *Quote) { h.log(e) }

// OnAggregate prints the aggregate.
func (h LogHandler) OnAggregate(e *Aggregate) { h.log(e) }

// OnBook prints the book.
func (h LogHandler) OnBook(e *Book) { h.log(e) }

// OnLULD prints the price band.
func (h LogHandler) OnLULD(e *LULD) { h.log(e) }

// OnImbalance prints the imbalance.
func (h LogHandler) OnImbalance(e *Imbalance) { h.log(e) }

// OnValue prints the value.
func (h LogHandler) OnValue(e *Value) { h.log(e) }

// OnStatus prints the status at the level of what it means.
func (h LogHandler) OnStatus(e *Status) {
	level := slog.LevelInfo
	switch e.Code() {
	case StatusAuthFailed, StatusNoPlan, StatusAuthTimeout, StatusMaxConnections:
		level = slog.LevelError
	case StatusNotAuthorized, StatusSubscriptionLimit, StatusNotRealTime, StatusRefused, StatusBadRequest:
		level = slog.LevelWarn
	case StatusOther:
		var ok bool
		if level, ok = relayed(e.Status); !ok {
			level = slog.LevelWarn
		}
	}
	h.logger().Log(context.Background(), level, "status",
		"code", e.Code().String(), "status", string(e.Status), "message", string(e.Message))
}

// OnUnknown prints the event as it came.
func (h LogHandler) OnUnknown(e *Unknown) {
	h.logger().Warn("unknown event", "ev", string(e.Event), "event", string(e.Raw))
}

// OnError prints what was no event.
func (h LogHandler) OnError(e *EventError) {
	h.logger().Error("no event", "err", e.Error())
}

// OnState prints the state: a warning where the connection has failed or topics were
// refused, an error where the client ends by one, other than that its context was canceled.
func (h LogHandler) OnState(s *StateChange) {
	level, args := slog.LevelInfo, []any{"state", s.State.String(), "previous", s.Previous.String(), "attempt", s.Attempt}
	if s.Err != nil {
		args = append(args, "err", s.Err)
	}
	switch s.State {
	case StateStreaming:
		args = append(args, "acked", s.Acked, "refused", len(s.Refused)+s.Unnamed, "pending", len(s.Pending))
		if len(s.Refused) > 0 || len(s.Pending) > 0 {
			level = slog.LevelWarn
		}
	case StateBackoff:
		level, args = slog.LevelWarn, append(args, "wait", s.Wait)
	case StateClosed:
		if s.Err != nil && !errors.Is(s.Err, context.Canceled) {
			level = slog.LevelError
		}
	}
	h.logger().Log(context.Background(), level, "state", args...)
}

// OnGap prints the gap.
func (h LogHandler) OnGap(g *Gap) {
	h.logger().Warn("gap", "market", string(g.Market), "from", g.From.Received.UTC(), "to", g.To.Received.UTC(),
		"topics", len(g.Topics), "attempts", g.Attempt, "cause", g.Cause)
}

// OnDrop prints what was dropped.
func (h LogHandler) OnDrop(d *Drop) {
	var channels []any
	for _, c := range d.Channels {
		name := c.Channel
		if name == "" {
			name = "other"
		}
		channels = append(channels, name, c.Count)
	}
	h.logger().Warn("dropped", "events", d.Count, "from", timeOf(d.First).UTC(), "to", timeOf(d.Last).UTC(),
		slog.Group("channels", channels...))
}
