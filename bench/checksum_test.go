package bench_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// TestChecksumCoversEveryField sets the fields of each event one by one: every one must
// give a sum of its own.
func TestChecksumCoversEveryField(t *testing.T) {
	folds := map[string]func(c *bench.Checksum, field int) (name string, ok bool){
		"trade":       foldOne(func(c *bench.Checksum, e *tickstorm.Trade) { c.Trade(e) }),
		"quote":       foldOne(func(c *bench.Checksum, e *tickstorm.Quote) { c.Quote(e) }),
		"aggregate":   foldOne(func(c *bench.Checksum, e *tickstorm.Aggregate) { c.Aggregate(e) }),
		"book":        foldOne(func(c *bench.Checksum, e *tickstorm.Book) { c.Book(e) }),
		"EquityTrade": foldOne(func(c *bench.Checksum, e *bench.EquityTrade) { e.Fold(c) }),
		"EquityQuote": foldOne(func(c *bench.Checksum, e *bench.EquityQuote) { e.Fold(c) }),
		"EquityAgg":   foldOne(func(c *bench.Checksum, e *bench.EquityAgg) { e.Fold(c) }),
		"ForexQuote":  foldOne(func(c *bench.Checksum, e *bench.ForexQuote) { e.Fold(c) }),
		"CryptoTrade": foldOne(func(c *bench.Checksum, e *bench.CryptoTrade) { e.Fold(c) }),
		"CryptoQuote": foldOne(func(c *bench.Checksum, e *bench.CryptoQuote) { e.Fold(c) }),
		"Level2Book":  foldOne(func(c *bench.Checksum, e *bench.Level2Book) { e.Fold(c) }),
	}
	for name, fold := range folds {
		seen := map[uint64]string{}
		for i := -1; ; i++ {
			var c bench.Checksum
			field, ok := fold(&c, i)
			if !ok {
				break
			}
			other, again := seen[c.Sum]
			require.False(t, again, "%s: %q sums up like %q", name, field, other)
			seen[c.Sum] = field
			require.Equal(t, 1, c.Events)
		}
		require.Greater(t, len(seen), 5, name)
	}
}

// foldOne returns a function that folds an event of which one field is set, none for -1,
// and gives the field's name; ok is false when there is no such field.
func foldOne[E any](fold func(*bench.Checksum, *E)) func(*bench.Checksum, int) (string, bool) {
	return func(c *bench.Checksum, field int) (string, bool) {
		e := new(E)
		v := reflect.ValueOf(e).Elem()
		var fields []string
		for i := range v.NumField() {
			switch f := v.Type().Field(i); f.Name {
			case "Header":
				fields = append(fields, "Symbol")
			case "EventType": // it chose the struct
			default:
				fields = append(fields, f.Name)
			}
		}
		if field >= len(fields) {
			return "", false
		}
		name := "nothing"
		if field >= 0 {
			name = fields[field]
			set(v.FieldByName(name))
		}
		fold(c, e)
		return name, true
	}
}

func set(v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *[]byte:
		*p = []byte("7")
	case *tickstorm.Decimal:
		*p = tickstorm.Decimal{Text: []byte("7"), Value: 7}
	case *[]int32:
		*p = []int32{7}
	case *[]tickstorm.Level:
		*p = []tickstorm.Level{{Price: 7, Size: 7}}
	case *[][]float64:
		*p = [][]float64{{7, 7}}
	default:
		switch v.Kind() {
		case reflect.String:
			v.SetString("7")
		case reflect.Float64:
			v.SetFloat(7)
		case reflect.Bool:
			v.SetBool(true)
		default:
			v.SetInt(7)
		}
	}
}

func levels(numbers ...float64) (s []tickstorm.Level) {
	for i := 0; i < len(numbers); i += 2 {
		s = append(s, tickstorm.Level{Price: numbers[i], Size: numbers[i+1]})
	}
	return s
}

// TestChecksumOfParts is about what is inside a field.
func TestChecksumOfParts(t *testing.T) {
	sums := map[uint64]int{}
	add := func(fold func(c *bench.Checksum)) {
		var c bench.Checksum
		fold(&c)
		sums[c.Sum]++
	}
	texts := []string{"", "A", "B", "AA", "AB", "BA", "ABC", "ACB", "ABCD", "ABCDE", "ABCDABCD", "ABCDEFGH", "ABCDEFGHI", "ABCDEFGHIJKLMNOPQ", "ABCDEFGHIJKLMNOPR"}
	for _, s := range texts {
		add(func(c *bench.Checksum) { c.Trade(&tickstorm.Trade{Header: tickstorm.Header{Symbol: s}}) })
	}
	lists := [][]int32{{1}, {2}, {1, 2}, {2, 1}, {0, 1}, {0, 0, 1}, {1, 0}}
	for _, l := range lists {
		add(func(c *bench.Checksum) { c.Trade(&tickstorm.Trade{Conditions: l}) })
	}
	books := [][]tickstorm.Level{levels(1, 2), levels(2, 1), levels(1, 2, 1, 2), levels(1, 2, 3, 4), levels(3, 4, 1, 2), levels(0, 0)}
	for _, b := range books {
		add(func(c *bench.Checksum) { c.Book(&tickstorm.Book{Bids: b}) })
		add(func(c *bench.Checksum) { c.Book(&tickstorm.Book{Asks: b}) })
	}
	add(func(c *bench.Checksum) { // order of events
		c.Trade(&tickstorm.Trade{Price: 1})
		c.Trade(&tickstorm.Trade{Price: 2})
	})
	add(func(c *bench.Checksum) {
		c.Trade(&tickstorm.Trade{Price: 2})
		c.Trade(&tickstorm.Trade{Price: 1})
	})
	require.Len(t, sums, len(texts)+len(lists)+2*len(books)+2)
}

func TestRoundedChecksum(t *testing.T) {
	sum := func(c bench.Checksum, price float64) uint64 {
		c.Trade(&tickstorm.Trade{Price: price})
		return c.Sum
	}
	near := math.Nextafter(math.Nextafter(1.5e-7, 1), 1)
	require.NotEqual(t, sum(bench.Checksum{}, 1.5e-7), sum(bench.Checksum{}, near))
	require.Equal(t, sum(bench.NewRounded(), 1.5e-7), sum(bench.NewRounded(), near))
	require.NotEqual(t, sum(bench.NewRounded(), 1.5e-7), sum(bench.NewRounded(), 1.50000000001e-7))
}
