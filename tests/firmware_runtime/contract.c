/* SPDX-License-Identifier: Apache-2.0 */
/* Prints every struct of the protocol with its fields, and every constant: see test_contract.py. */
#include <stddef.h>
#include <stdio.h>

#include "link.h"
#include "tinyguard/model.h"
#include "tinyguard/port.h"
#include "tinyguard/protocol.h"

#define CONSTANT(name) printf("%s %lld\n", #name, (long long)(name))
#define STRUCT(name) printf("sizeof(%s) %zu\n", #name, sizeof(name))
#define FIELD(name, field) printf("%s.%s %zu\n", #name, #field, offsetof(name, field))

int main(void)
{
#include "contract_body.h"
    return 0;
}
