// What is doubtful in the labels of one sample, beyond what a conversion loses.
#pragma once

#include <cstdint>
#include <string>

#include "data/check/finding.h"
#include "data/formats/annotation.h"
#include "data/samples/conversation.h"

namespace streamo::data {

// Negative times, events that overlap, an answer before the first question.
void find_label_problems(const Annotation& annotation, int64_t num_turns, double fps,
                         Findings& findings);

// The same of turns that are labelled already: an answer before the first question, turns that
// begin with no state.
void find_label_problems(const Conversation& conversation, Findings& findings);

// What an annotation said that the conversation cannot.
void list_losses(const ConversionLosses& losses, Findings& findings);

}  // namespace streamo::data
