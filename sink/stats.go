package sink

import (
	"time"

	"github.com/tickstorm/tickstorm"
)

// Stats is what a [Runner] has done. It is a snapshot.
type Stats struct {
	// Rows are those that the engine has confirmed, or, of a [Flusher], taken: notices among them,
	// which Notices counts, and dead letters not. Bytes is the length of their Raw.
	Rows, Notices, Bytes uint64
	// Batches are how many times a batch or a part of one was taken, Retries how many it was not
	// and was tried again.
	Batches, Retries uint64
	// Dead are the rows that went to the file of dead letters.
	Dead uint64
	// Skipped are rows that were read again after a restart and had been confirmed.
	Skipped uint64
	// Dropped are messages, states and gaps that a [Live] had no room for.
	Dropped uint64
	// Saved is how many times the cursor was saved.
	Saved uint64
	// Newest is when the last message was received of what was taken, in nanoseconds since 1970:
	// now less that is how far the engine is behind, while events come.
	Newest int64
	// Lag is the time from when a batch's first row was received to when the batch was taken.
	Lag tickstorm.Histogram
}

// ConsumerStats is what an engine's consumer has done. It is a snapshot.
type ConsumerStats struct {
	// Rows are those that the handler was told, notices among them; Repeated came again and were
	// left out. Foreign are messages that no sink has published.
	Rows, Repeated, Foreign uint64
	// Expired are messages that were removed before they were read.
	Expired uint64
	// Saved counts watermarks that were saved, Fenced those that another consumer had saved since.
	Saved, Fenced uint64
	// Partitions are how many the consumer has now.
	Partitions int
	// Lag is the time from when an event was received to when it was handled, of one in 64.
	Lag tickstorm.Histogram
}

// took notes rows that the engine has taken.
func (r *Runner) took(rows []Row, bytes int) {
	now := time.Now().UnixNano()
	oldest, newest, notices := int64(0), int64(0), uint64(0)
	for i := range rows {
		row := &rows[i]
		newest = max(newest, row.Received)
		if oldest == 0 || row.Received < oldest {
			oldest = row.Received
		}
		if row.Notice != nil {
			notices++
		}
	}
	r.counts.Add(func(s *Stats) {
		s.Rows += uint64(len(rows))
		s.Notices += notices
		s.Bytes += uint64(bytes)
		s.Batches++
		s.Newest = max(s.Newest, newest)
		s.Lag.Observe(time.Duration(max(0, now-oldest)))
	})
}
