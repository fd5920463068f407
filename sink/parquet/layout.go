package parquet

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // days are those of exchanges, on machines without a database of zones too

	"github.com/tickstorm/tickstorm"
)

// The tables that are of no channel, as ev has them. No channel of the vendor is written in lower case,
// but that of statuses.
const (
	gapsTable    = "gaps"
	unknownTable = "unknown"
	statusTable  = "status"
)

// folderOf is where the parts of a table and day are, with slashes.
func folderOf(m tickstorm.Market, ev, day string) string {
	return "market=" + escape(string(m)) + "/ev=" + escape(ev) + "/dt=" + day
}

// escape writes a value of a partition as hive does.
func escape(value string) string {
	if value == "" {
		return "__HIVE_DEFAULT_PARTITION__"
	}
	var b strings.Builder
	for i := range len(value) {
		if c := value[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"#%'*/:=?\{}[]^<>|`, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	if b.String() == "." || b.String() == ".." {
		return strings.ReplaceAll(value, ".", "%2E")
	}
	return b.String()
}

// partName is the name of a part of a segment. The market stands in the path.
func partName(segment string, number int) string {
	return fmt.Sprintf("%s-%03d%s", partPrefix(segment), number, suffix)
}

// partPrefix is what the names of all parts of a segment begin with, within its market.
func partPrefix(segment string) string {
	at := len(segment)
	for range 2 {
		at = max(0, strings.LastIndexByte(segment[:at], '-'))
	}
	return "part" + segment[at:]
}

const (
	suffix = ".parquet"
	// tempSuffix is behind the name of a part that is being written.
	tempSuffix = ".tmp"
)

// zoneName is that of the exchange's days.
func zoneName(m tickstorm.Market) string {
	class, _, _ := strings.Cut(string(m), "/")
	switch tickstorm.Market(class) {
	case tickstorm.Forex, tickstorm.Crypto:
		return "UTC"
	case tickstorm.Futures:
		return "America/Chicago"
	}
	return "America/New_York"
}

// day is a day of an exchange.
type day struct {
	text        string
	from, until int64 // in nanoseconds since 1970
}

func (d *day) has(t int64) bool { return t >= d.from && t < d.until }

func dayOf(t int64, zone *time.Location) day {
	at := time.Unix(0, t).In(zone)
	y, m, d := at.Date()
	from := time.Date(y, m, d, 0, 0, 0, 0, zone)
	until := time.Date(y, m, d+1, 0, 0, 0, 0, zone)
	return day{at.Format(time.DateOnly), nanos(from), nanos(until)}
}

// nanos is a time in nanoseconds since 1970, or the nearest that there is.
func nanos(t time.Time) int64 {
	switch {
	case t.Before(earliest):
		return earliest.UnixNano()
	case t.After(latest):
		return latest.UnixNano()
	}
	return t.UnixNano()
}

var earliest, latest = time.Unix(0, -1<<63), time.Unix(0, 1<<63-1)

// farthest is how far an event's time may be from that of its receipt to say its day: a broken clock
// must not make parts of days that never were.
const farthest = int64(36 * time.Hour)

// dayTime is the time whose day an event is of.
func dayTime(event, received int64) int64 {
	if event == 0 || event > received+farthest || event < received-farthest {
		return received
	}
	return event
}
