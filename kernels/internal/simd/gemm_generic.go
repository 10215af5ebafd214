package simd

import "unsafe"

// at returns the n-th float from p. The packed GEMM checks its operands once, so the
// micro-kernels need no bounds.
func at(p *float32, n int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(p), 4*n))
}

// quad is the four floats from the n-th after p.
func quad(p *float32, n int) *[4]float32 {
	return (*[4]float32)(unsafe.Add(unsafe.Pointer(p), 4*n))
}

// gemmGeneric is the 2×4 micro-kernel in Go; eight sums stay in registers.
func gemmGeneric(k int, a *float32, rs, cs int, b *float32, bs int, c *float32, ldc int, n int, alpha float32, add int) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float32
	if n < 4 {
		gemmColumns(2, k, a, rs, cs, b, bs, c, ldc, n, alpha, add)
		return
	}
	i, j := 0, 0
	for range k {
		v, x, y := quad(b, j), *at(a, i), *at(a, i+rs)
		s00 += x * v[0]
		s01 += x * v[1]
		s02 += x * v[2]
		s03 += x * v[3]
		s10 += y * v[0]
		s11 += y * v[1]
		s12 += y * v[2]
		s13 += y * v[3]
		i, j = i+cs, j+bs
	}
	put(c, [4]float32{s00, s01, s02, s03}, alpha, add)
	put(at(c, ldc), [4]float32{s10, s11, s12, s13}, alpha, add)
}

// gemmGeneric1 is the 1×4 micro-kernel in Go.
func gemmGeneric1(k int, a *float32, rs, cs int, b *float32, bs int, c *float32, ldc int, n int, alpha float32, add int) {
	if n < 4 {
		gemmColumns(1, k, a, rs, cs, b, bs, c, ldc, n, alpha, add)
		return
	}
	var s0, s1, s2, s3 float32
	i, j := 0, 0
	for range k {
		v, x := quad(b, j), *at(a, i)
		s0 += x * v[0]
		s1 += x * v[1]
		s2 += x * v[2]
		s3 += x * v[3]
		i, j = i+cs, j+bs
	}
	put(c, [4]float32{s0, s1, s2, s3}, alpha, add)
}

func put(c *float32, s [4]float32, alpha float32, add int) {
	d := quad(c, 0)
	for i, v := range s {
		if add != 0 {
			d[i] += alpha * v
		} else {
			d[i] = alpha * v
		}
	}
}

// gemmColumns is the micro-kernel for the last columns of C, one sum at a time.
func gemmColumns(rows, k int, a *float32, rs, cs int, b *float32, bs int, c *float32, ldc int, n int, alpha float32, add int) {
	for i := range rows {
		for j := range n {
			s := float32(0)
			for l := range k {
				s += *at(a, i*rs+l*cs) * *at(b, l*bs+j)
			}
			d := at(c, i*ldc+j)
			if add != 0 {
				*d += alpha * s
			} else {
				*d = alpha * s
			}
		}
	}
}
