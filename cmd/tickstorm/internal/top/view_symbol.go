package top

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
)

// symbolSheet draws the last events of a symbol, as they come.
func (m *Model) symbolSheet(lines int) []string {
	s := &m.opened
	title := styles.head.Render(clean(s.Symbol)) + "  " + styles.title.Render(price(s.Price)) +
		fmt.Sprintf("  %s/s  %s events  silent %s", number(s.EventRate), number(float64(s.Events)), seconds(s.Silent))
	out := []string{title}
	var kinds []tickstorm.Kind
	for k := range m.tail.rings {
		if m.tail.Total(tickstorm.Kind(k)) > 0 {
			kinds = append(kinds, tickstorm.Kind(k))
		}
	}
	if len(kinds) == 0 {
		return append(out, styles.dim.Render("nothing has come since it was opened"))
	}
	room := lines - 1
	for i, k := range kinds {
		share := room / (len(kinds) - i)
		rows := m.tail.Rows(k, share-1)
		out = append(out, m.tailTable(k, rows, share)...)
		room -= min(share, len(rows)+1)
	}
	return out
}

// tailTable draws events of a kind.
func (m *Model) tailTable(k tickstorm.Kind, rows []Row, lines int) []string {
	if lines < 1 {
		return nil
	}
	names := map[tickstorm.Kind][]string{
		tickstorm.KindTrade: {"PRICE", "SIZE"}, tickstorm.KindQuote: {"BID SIZE", "BID", "ASK", "ASK SIZE"},
		tickstorm.KindBook: {"BID SIZE", "BID", "ASK", "ASK SIZE"}, tickstorm.KindAggregate: {"OPEN", "HIGH", "LOW", "CLOSE", "VOLUME"},
		tickstorm.KindLULD: {"LOWER", "UPPER"}, tickstorm.KindImbalance: {"IMBALANCE", "PAIRED", "PRICE"}, tickstorm.KindValue: {"VALUE"},
	}[k]
	stamp, channel, each := 13, 5, 12
	at := "15:04:05.000"
	spare := m.width - stamp - channel - 1 - len(names)
	if k == tickstorm.KindTrade {
		spare -= 20 // for what is behind
	}
	switch {
	case spare >= 12*len(names):
	case spare >= 10*len(names):
		each = 10
	default:
		stamp, channel, each = 12, 4, 8
		if k == tickstorm.KindAggregate {
			stamp, at = 8, "15:04:05" // bars begin with a second
		}
	}
	columns := []column{{strings.ToUpper(titles[k]), stamp, false}, {"", channel, false}}
	for _, name := range names {
		columns = append(columns, column{name, each, true})
	}
	if k == tickstorm.KindTrade {
		columns = append(columns, column{"EXCHANGE", 8, true}, column{"CONDITIONS", 0, false})
	}
	n := fits(columns, m.width, 10)
	out := []string{heading(columns[:n], m.width)}
	for _, r := range rows {
		name, _ := m.snapshot.Market.Channel(r.Stream) // "" where it is not known
		cells := []cell{{m.local(time.Unix(0, r.Time)).Format(at), styles.dim}, {name, styles.dim}}
		for i := range names {
			style := styles.plain
			if isPrice := strings.Contains(" PRICE BID ASK CLOSE VALUE ", " "+names[i]+" "); isPrice {
				style = styles.title
			}
			cells = append(cells, cell{exact(r.Values[i], each), style})
		}
		if k == tickstorm.KindTrade {
			codes := strings.Trim(fmt.Sprint(r.Codes[:r.codes]), "[]")
			cells = append(cells, cell{strconv.Itoa(int(r.Exchange)), styles.plain}, cell{codes, styles.dim})
		}
		out = append(out, row(columns[:n], cells[:n], m.width))
	}
	return out
}

// titles are those of the kinds.
var titles = [tickstorm.Kinds]string{
	tickstorm.KindTrade: "trades", tickstorm.KindQuote: "quotes", tickstorm.KindAggregate: "bars", tickstorm.KindBook: "books",
	tickstorm.KindLULD: "limits", tickstorm.KindImbalance: "imbalances", tickstorm.KindValue: "values",
}
