package data

import "testing"

func BenchmarkBatch(b *testing.B) {
	d := spec("synthetic")
	d.Bytes = 8 << 20
	c := open(b, d, 256, 256)
	in, out := make([]int32, 16*256), make([]int32, 16*256)
	b.SetBytes(int64(len(in)))
	var i int64
	for b.Loop() {
		if err := c.Batch(in, out, 1, 16*i); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkOpenDefault is part of what stands between a sweep and its first loss.
func BenchmarkOpenDefault(b *testing.B) {
	for _, source := range []string{"default", "synthetic"} {
		b.Run(source, func(b *testing.B) {
			for b.Loop() {
				c, err := Open(b.Context(), spec(source), 256, 256)
				if err != nil {
					b.Fatal(err)
				}
				_ = c.Close()
			}
		})
	}
}
