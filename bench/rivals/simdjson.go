package rivals

import (
	"github.com/minio/simdjson-go"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// simd is simdjson-go, with its tape and its iterators used over and over and no copy of
// any text.
type simd struct {
	events events
	parsed *simdjson.ParsedJson

	iter, root, element, value, item, part simdjson.Iter
	array, list, pair                      simdjson.Array
	object                                 simdjson.Object
}

func simdjsonMissing() string {
	if simdjson.SupportedCPU() {
		return ""
	}
	return "it needs AVX2"
}

func newSimdjson(m tickstorm.Market) bench.Decoder { return &simd{events: events{market: m}} }

func (d *simd) Decode(msg []byte, sum *bench.Checksum) error {
	parsed, err := simdjson.Parse(msg, d.parsed, simdjson.WithCopyStrings(false))
	if err != nil {
		return err
	}
	d.parsed = parsed
	d.iter = parsed.Iter()
	d.iter.Advance()
	if _, _, err := d.iter.Root(&d.root); err != nil {
		return err
	}
	if _, err := d.root.Array(&d.array); err != nil {
		return err
	}
	elements := d.array.Iter()
	d.iter = elements
	for {
		t, err := d.iter.AdvanceIter(&d.element)
		if err != nil {
			return err
		}
		if t == simdjson.TypeNone {
			return nil
		}
		if _, err := d.element.Object(&d.object); err != nil {
			return err
		}
		if err := d.event(); err != nil {
			return err
		}
		d.events.fold(&d.events, sum)
	}
}

func (d *simd) event() error {
	key, _, err := d.object.NextElementBytes(&d.value)
	if err != nil {
		return err
	}
	ev, err := d.value.StringBytes()
	if err != nil {
		return err
	}
	if string(key) != "ev" || !d.events.start(view(ev)) {
		return unexpected(ev)
	}
	for {
		key, t, err := d.object.NextElementBytes(&d.value)
		if err != nil {
			return err
		}
		if t == simdjson.TypeNone {
			return nil
		}
		if err := d.fill(d.events.field(&d.events, view(key)), t); err != nil {
			return err
		}
	}
}

func (d *simd) fill(field any, t simdjson.Type) (err error) {
	var n int64
	var text []byte
	switch p := field.(type) {
	case *float64:
		*p, err = d.value.Float()
	case *tickstorm.Timestamp:
		n, err = d.value.Int()
		*p = tickstorm.Timestamp(n)
	case *int64:
		*p, err = d.value.Int()
	case *int32:
		n, err = d.value.Int()
		*p = int32(n)
	case *string:
		text, err = d.value.StringBytes()
		*p = view(text)
	case *[]byte:
		*p, err = d.value.StringBytes()
	case *tickstorm.Decimal:
		text, err = d.value.StringBytes()
		*p = decimal(text)
	case *bool:
		*p, err = d.value.Bool()
	case *[]int32:
		if t != simdjson.TypeArray {
			n, err = d.value.Int()
			*p = append(*p, int32(n))
			return err
		}
		if _, err := d.value.Array(&d.list); err != nil {
			return err
		}
		for it := d.list.Iter(); err == nil && it.Advance() != simdjson.TypeNone; {
			n, err = it.Int()
			*p = append(*p, int32(n))
		}
	case *[]tickstorm.Level:
		*p, err = d.levels(*p)
	}
	return err
}

func (d *simd) levels(dst []tickstorm.Level) ([]tickstorm.Level, error) {
	if _, err := d.value.Array(&d.list); err != nil {
		return dst, err
	}
	d.item = d.list.Iter()
	for d.item.Advance() != simdjson.TypeNone {
		if _, err := d.item.Array(&d.pair); err != nil {
			return dst, err
		}
		d.part = d.pair.Iter()
		var pair [2]float64
		for i := 0; d.part.Advance() != simdjson.TypeNone && i < len(pair); i++ {
			var err error
			if pair[i], err = d.part.Float(); err != nil {
				return dst, err
			}
		}
		dst = append(dst, tickstorm.Level{Price: pair[0], Size: pair[1]})
	}
	return dst, nil
}
