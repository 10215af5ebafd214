package rundir

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := event(rapid.Int64Range(0, 1<<40).Draw(t, "step"))
		e.Loss = Number(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)})).Draw(t, "loss"))
		dir, err := os.MkdirTemp("", "events")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		w := Writer{dir: dir, synced: time.Now()}
		w.events, _ = os.Create(filepath.Join(dir, eventsFile))
		w.out = w.events
		defer w.Close()
		if err := w.Append(e); err != nil {
			t.Fatal(err)
		}
		all, bad, err := ReadEvents(dir)
		if err != nil || bad != 0 || len(all) != 1 {
			t.Fatal(all, bad, err)
		}
		if math.Float64bits(float64(all[0].Loss)) != math.Float64bits(float64(e.Loss)) && !math.IsNaN(float64(e.Loss)) {
			t.Fatalf("%v became %v", e.Loss, all[0].Loss)
		}
		all[0].Loss, e.Loss = 0, 0
		if !reflect.DeepEqual(all[0], e) {
			t.Fatalf("%+v became %+v", e, all[0])
		}
	})
}

// Whatever is left of events.jsonl, a reader gets the whole lines of it, and a writer
// that goes on loses none.
func TestEventsCutAnywhere(t *testing.T) {
	w := create(t, t.TempDir(), 1e-3)
	for i := range int64(3) {
		if err := w.Append(event(i + 1)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(w.Dir(), eventsFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(string(whole[:cut]), "\n")
		tail := NewTail(w.Dir())
		first, _, _, err := tail.Poll()
		if err != nil || len(first) != lines || tail.Bad() != 0 {
			t.Fatalf("cut at %d: %d events, %d bad, %v", cut, len(first), tail.Bad(), err)
		}
		w, err := Open(w.Dir())
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if err := errors.Join(w.Append(event(9)), w.Close()); err != nil {
			t.Fatal(err)
		}
		next, _, restarted, err := tail.Poll()
		want := 1
		if n := cut - strings.LastIndexByte(string(whole[:cut]), '\n') - 1; n > 0 && cut < len(whole) && whole[cut] == '\n' {
			want = 2 // the line was whole but for its end
		}
		if err != nil || restarted || len(next) != want || next[want-1].Step != 9 {
			t.Fatalf("cut at %d: then %d events, %v", cut, len(next), err)
		}
		if tail.Bad() > 1 {
			t.Fatalf("cut at %d: %d bad lines", cut, tail.Bad())
		}
	}
}

var errFull = errors.New("no space left on device")

// full is a disk with so much room.
type full struct {
	io.Writer
	room int
}

func (f *full) Write(p []byte) (int, error) {
	if len(p) <= f.room {
		f.room -= len(p)
		return f.Writer.Write(p)
	}
	n, _ := f.Writer.Write(p[:f.room])
	f.room = 0
	return n, errFull
}

func TestDiskFull(t *testing.T) {
	for room := range 300 {
		dir := t.TempDir()
		w := Writer{dir: dir, synced: time.Now()}
		var err error
		if w.events, err = os.Create(filepath.Join(dir, eventsFile)); err != nil {
			t.Fatal(err)
		}
		disk := &full{Writer: w.events, room: room}
		w.out = disk
		var good []int64
		for step := int64(1); step <= 3; step++ {
			if err := w.Append(event(step)); err == nil {
				good = append(good, step)
			} else if !errors.Is(err, errFull) {
				t.Fatal(err)
			}
		}
		disk.room = 1 << 20 // someone made room
		if err := w.Append(event(4)); err != nil {
			t.Fatal(err)
		}
		good = append(good, 4)
		all, bad, err := ReadEvents(dir)
		if err != nil || bad > 3 {
			t.Fatalf("room %d: %d bad, %v", room, bad, err)
		}
		got := map[int64]bool{}
		for _, e := range all {
			got[e.Step] = true
		}
		for _, step := range good {
			if !got[step] {
				t.Fatalf("room %d: step %d was written and is not there: %v", room, step, got)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTail(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, eventsFile)
	put := func(text string) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	tail := NewTail(dir)
	expect := func(events, bad int, restarted bool) {
		t.Helper()
		got, _, r, err := tail.Poll()
		if err != nil || len(got) != events || tail.Bad() != bad || r != restarted {
			t.Fatalf("%d events, %d bad, restarted %v, %v; want %d, %d, %v", len(got), tail.Bad(), r, err, events, bad, restarted)
		}
	}
	expect(0, 0, false)
	put(`{"step":1,"loss":2}` + "\n" + `{"step":2,"lo`)
	expect(1, 0, false)
	expect(0, 0, false)
	put(`ss":"NaN"}` + "\n")
	expect(1, 0, false)
	put("garbage\n{}\n{\"step\":-1}\n\n{\"step\":3}\n")
	expect(1, 3, false)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	expect(0, 0, true)
	put(`{"step":1}` + "\n")
	expect(1, 0, false)
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte(`{"step":1}`+"\n"+`{"step":2}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	expect(2, 0, true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect(0, 0, true)
	expect(0, 0, false)
	// A line of two megabytes is no event and hides none.
	put(strings.Repeat("x", 2*pollSize+5) + "\n" + `{"step":1}` + "\n")
	all, bad, err := ReadEvents(dir)
	if err != nil || bad != 1 || len(all) != 1 {
		t.Fatalf("%d events, %d bad, %v", len(all), bad, err)
	}
	// More than one poll's worth.
	for range 5 {
		put(strings.Repeat(`{"step":1,"note":"`+strings.Repeat("n", 1000)+`"}`+"\n", 1000))
	}
	if all, bad, err := ReadEvents(dir); err != nil || bad != 1 || len(all) != 1 {
		t.Fatalf("%d events, %d bad, %v", len(all), bad, err)
	}
}

func TestMerge(t *testing.T) {
	var first, again []Event
	for i := range int64(10) {
		first = append(first, event(i+1))
	}
	again = append(again, Event{Step: 8, Loss: 1}, Event{Step: 9, Loss: 2})
	all := Merge(first, again)
	if len(all) != 9 || all[7].Loss != 1 || all[8].Loss != 2 || all[6].Step != 7 {
		t.Errorf("%+v", all)
	}
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"step":1,"loss":"NaN","stats":{"a":{"b":1e999}}}`))
	f.Add([]byte(`{"step":9223372036854775807,"loss":null,"lr":"x"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parseEvent(line)
		if err == nil && e.Step < 0 {
			t.Fatal(e)
		}
	})
}
