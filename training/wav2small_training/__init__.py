"""Makes a student: recipe, corpora, distillation, evaluation, export and publishing."""
