package data

import "math/bits"

// permutation is a keyed bijection of 0 … n−1 that needs no memory: a Feistel network
// over the next even number of bits, walked until it lands inside (Black & Rogaway,
// "Ciphers with arbitrary finite domains", 2002). The domain is less than four times n,
// so a walk takes less than four steps on average.
type permutation struct {
	n    uint64
	half uint // bits of each half
	keys [6]uint64
}

func newPermutation(n int64, seed, epoch uint64) permutation {
	p := permutation{n: uint64(n)}
	p.half = uint(bits.Len64(p.n-1)+1) / 2
	k := mix(seed ^ mix(epoch+0x9e3779b97f4a7c15))
	for i := range p.keys {
		k = mix(k + 0x9e3779b97f4a7c15)
		p.keys[i] = k
	}
	return p
}

// at is where index i goes.
func (p *permutation) at(i int64) int64 {
	if p.n < 2 {
		return 0
	}
	mask := uint64(1)<<p.half - 1
	for x := uint64(i); ; {
		l, r := x>>p.half, x&mask
		for _, k := range p.keys {
			l, r = r, l^mix(r+k)&mask
		}
		if x = l<<p.half | r; x < p.n {
			return int64(x)
		}
	}
}

// mix is the finalizer of SplitMix64 (Steele, Lea & Flood 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
