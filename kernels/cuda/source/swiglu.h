// The gated unit of SwiGLU on one element, and its gradient.
#pragma once
#include "device.h"

DEVICE float sigmoid(float x) { return rcp(1 + ex2(x * -kLog2e)); }
DEVICE float gated(float gate, float up) { return gate * sigmoid(gate) * up; }
DEVICE void gatedGrad(float dy, float gate, float up, float& dgate, float& dup) {
  const float s = sigmoid(gate), silu = gate * s;
  dgate = dy * up * (s + silu * (1 - s));
  dup = dy * silu;
}
