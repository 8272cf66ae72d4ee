// SPDX-License-Identifier: Apache-2.0
//
// Empty: a guest shares no memory; PHP includes this unconditionally.
